#include "offers.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

namespace pkv::detail {

static_assert(static_cast<std::size_t>(Route::kPolicy) == kRunnableRoutes.size(), "routes index arrays");

namespace {

std::string names_of(const std::vector<Route>& routes) {
  std::vector<std::string_view> names;
  names.reserve(routes.size());
  for (const Route route : routes) names.push_back(to_string(route));
  return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
}

std::string why_not_device(const Capabilities& can) {
  std::vector<Route> routes = can.routes();
  std::erase_if(routes, [&](Route route) { return !can.takes_device_lengths(route); });
  return fmt::format("lengths or block table are on a device, must be on the host but for {}", names_of(routes));
}

std::string why_not(const Capabilities& can, Route route, const OfferQuery& query) {
  if (!can.has_route(route)) return fmt::format("has no such route, but {}", names_of(can.routes()));
  if (std::string why = can.why_not(query.shape, query.dtype, query.page_size); !why.empty()) return why;
  return why_not_device(can);
}

template <class Why>
std::string each(Backends backends, const Why& why) {
  std::string text;
  for (const auto& backend : backends)
    text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", backend->name(), why(backend->capabilities()));
  return text;
}

}  // namespace

Offers offers_of(Backends backends, const OfferQuery& query) {
  Offers offers;
  for (const auto& backend : backends) {
    const Capabilities& can = backend->capabilities();
    if (!can.why_not(query.shape, query.dtype, query.page_size).empty()) continue;
    for (const Route route : kRunnableRoutes) {
      if (!can.has_route(route) || offers.routes.contains(route)) continue;
      if (query.on_device && !can.takes_device_lengths(route)) continue;
      offers.routes.insert(route);
      offers.backends[static_cast<std::size_t>(route)] = backend.get();
    }
  }
  return offers;
}

Offers KnownOffers::of(Backends backends, const OfferQuery& query) {
  const auto is_asked = [&](const Known& known) {
    return known.shape == query.shape && known.dtype == query.dtype && known.page_size == query.page_size &&
           known.on_device == query.on_device;
  };
  for (const Known* known = newest_.load(std::memory_order_acquire); known != nullptr; known = known->older)
    if (is_asked(*known)) return known->offers;
  const Offers offers = offers_of(backends, query);
  const std::lock_guard lock(adding_);
  const auto here = [&](const auto& known) { return is_asked(*known); };  // another thread may have been faster
  if (known_.size() >= kMost || std::any_of(known_.begin(), known_.end(), here)) return offers;
  known_.push_back(std::make_unique<const Known>(Known{query.shape, query.dtype, query.page_size, query.on_device,
                                                       offers, newest_.load(std::memory_order_relaxed)}));
  newest_.store(known_.back().get(), std::memory_order_release);
  return offers;
}

std::string why_nobody(Backends backends, Route route, const OfferQuery& query) {
  return each(backends, [&](const Capabilities& can) { return why_not(can, route, query); });
}

std::string why_nobody(Backends backends, const OfferQuery& query) {
  return each(backends, [&](const Capabilities& can) -> std::string {
    if (std::string why = can.why_not(query.shape, query.dtype, query.page_size); !why.empty()) return why;
    return can.schedules.empty() && can.own_routes.empty() ? "has no routes" : why_not_device(can);
  });
}

}  // namespace pkv::detail
