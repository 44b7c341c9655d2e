#include "runtime_core.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <utility>

namespace pkv::detail {

namespace {

OfferQuery query_of(const StepFacts& facts) { return {facts.shape, facts.dtype, facts.page_size, facts.on_device}; }

void check(Backends backends, const RuntimeOptions& options) {
  if (backends.empty()) throw InvalidArgument("backends is empty, must have at least one");
  if (options.safe_route == Route::kPolicy)
    throw InvalidArgument("safe_route is policy, must be a route that runs a step");
  std::string_view device;
  for (std::size_t i = 0; i < backends.size(); ++i) {
    if (backends[i] == nullptr) throw InvalidArgument(fmt::format("backends[{}] is null, must be a backend", i));
    const std::string_view name = backends[i]->device_name();
    if (!device.empty() && !name.empty() && name != device)
      throw InvalidArgument(fmt::format("backends[{}] runs on {}, must run on {} as those before it", i, name, device));
    if (device.empty()) device = name;
  }
}

}  // namespace

RuntimeCore::RuntimeCore(std::optional<DeviceProfile> profile, std::vector<std::shared_ptr<Backend>> backends,
                         RuntimeOptions options)
    : backends_(std::move(backends)), options_(std::move(options)) {
  check(backends_, options_);
  if (profile) router_.emplace(*std::move(profile));
  for (const auto& backend : backends_)
    if (options_.device_name.empty()) options_.device_name = backend->device_name();
  is_profiled_device_ = router_ && options_.device_name == router_->profile().device_name;
}

Ruling RuntimeCore::rule(const StepFacts& facts, const Offers& offers) const {
  const bool forced = options_.route != Route::kPolicy;
  const RouteOffer offer{forced ? RouteSet{options_.route} : offers.routes, options_.safe_route};
  PolicyInput input = facts.input(options_);
  if (is_profiled_device_) input.device_name = {};
  Ruling ruling;
  if (const auto settled = router_ ? router_->settled(input, offer) : std::nullopt) {
    ruling = {*settled, Grounds::kEstimate, std::nullopt};
  } else if (router_) {
    ruling = router_->rule(input, offer);
  } else {
    (void)summarize(input);  // the same errors
    const Route route = safe_route(offer);
    ruling = {{route, route == Route::kStream ? 0 : options_.plan.splits}, Grounds::kNoProfile, std::nullopt};
  }
  if (forced) ruling.grounds = Grounds::kForced;
  return ruling;
}

Routed RuntimeCore::choose(const StepFacts& facts) const {
  const OfferQuery query = query_of(facts);
  const Offers offers = known_offers_.of(backends_, query);
  if (offers.routes.empty())
    throw Unsupported(fmt::format("no backend has a route for this step: {}", why_nobody(backends_, query)));
  if (options_.route != Route::kPolicy && !offers.routes.contains(options_.route)) {
    throw Unsupported(fmt::format("route is {}, which no backend has for this step: {}", to_string(options_.route),
                                  why_nobody(backends_, options_.route, query)));
  }
  const Ruling ruling = rule(facts, offers);
  Backend* backend = offers.backend(ruling.choice.route);
  return {{ruling.choice.route, ruling.choice.splits, ruling.grounds, backend->name(), ruling.estimate_us,
           facts.from_bounds},
          backend};
}

Decision RuntimeCore::routes_without_profile(const StepFacts& facts) const {
  Decision decision;
  decision.step = summarize(facts.input(options_));
  decision.reason = "the safe route: no profile is given";
  for (const Route route : kRunnableRoutes) decision.routes.push_back({route, 0, {}, false, "no profile is given"});
  return decision;
}

Decision RuntimeCore::explain(const StepFacts& facts) const {
  const RuntimeDecision chosen = choose(facts).decision;
  const OfferQuery query = query_of(facts);
  const Offers offers = offers_of(backends_, query);
  Decision decision = router_ ? router_->explain(facts.input(options_), {offers.routes, options_.safe_route})
                              : routes_without_profile(facts);
  decision.choice = {chosen.route, chosen.splits};
  if (chosen.grounds == Grounds::kForced)
    decision.reason = fmt::format("forced: RuntimeOptions::route is {}", to_string(chosen.route));
  if (facts.from_bounds) {
    decision.reason += fmt::format("; lengths are on a device: from bounds, at most {} tokens a row",
                                   decision.step.longest_row_tokens);
  } else if (facts.on_device) {
    decision.reason += "; the block table is on a device";
  }
  // Of candidates that differ in their splits only, the one that is run.
  bool found = false;
  for (RouteVerdict& verdict : decision.routes) {
    verdict.chosen = !found && verdict.route == chosen.route && (!router_ || verdict.splits == chosen.splits);
    found = found || verdict.chosen;
    if (!offers.routes.contains(verdict.route))
      verdict.ruled_out_by = fmt::format("no backend has it: {}", why_nobody(backends_, verdict.route, query));
  }
  return decision;
}

}  // namespace pkv::detail
