#pragma once

// Which backend runs which route.

#include "persistentkv/engine/backend.hpp"
#include "persistentkv/plan/route.hpp"

#include <array>
#include <memory>
#include <span>
#include <string>

namespace pkv::detail {

using Backends = std::span<const std::shared_ptr<Backend>>;

/// What an offer depends on.
struct OfferQuery {
  const AttentionShape& shape;  // valid
  DType dtype;
  int page_size;
  bool on_device;  // lengths or block table are
};

struct Offers {
  RouteSet routes;
  std::array<Backend*, kRunnableRoutes.size()> backends{};  // by route; null: nobody

  [[nodiscard]] Backend* backend(Route route) const noexcept { return backends[static_cast<std::size_t>(route)]; }
};

/// The first backend in the list that offers a route has it. Allocates only for backends that cannot serve the shape.
[[nodiscard]] Offers offers_of(Backends backends, const OfferQuery& query);

/// Why nobody offers `route`: each backend's reason, in the order of the list.
[[nodiscard]] std::string why_nobody(Backends backends, Route route, const OfferQuery& query);

/// Why nobody offers any route.
[[nodiscard]] std::string why_nobody(Backends backends, const OfferQuery& query);

}  // namespace pkv::detail
