#include "persistentkv/policy/router.hpp"

#include "persistentkv/core/error.hpp"
#include "rules.hpp"

#include <utility>

namespace pkv {

namespace {

/// The route with the splits that it would be given: the run's, else those of the profile's candidate.
Choice choice_of(const DeviceProfile& profile, Route route, const PolicyInput& input) noexcept {
  const auto schedule = schedule_of(route);
  if (!schedule || schedule == Schedule::kStream) return {route, 0};
  const RouteCandidate* candidate = profile.candidate(route);
  const int splits = candidate != nullptr ? candidate->splits : 0;
  return {route, input.options.splits > 0 ? input.options.splits : splits};
}

}  // namespace

Ruling detail::rule(const DeviceProfile& profile, const PolicyInput& input, const StepSummary& step,
                    const RouteOffer& offer) {
  const Route safe = safe_route(offer, profile.safe_route);
  if (!covers(profile, input)) return {choice_of(profile, safe, input), Grounds::kNotCovered, std::nullopt};
  const RouteCandidate* best = nullptr;
  double best_us = 0;
  for (const RouteCandidate& candidate : profile.candidates) {
    if (!offer.routes.contains(candidate.route) || failed_gate(profile, candidate.route, step) != nullptr) continue;
    const double us = estimate_cost(profile, candidate.route, input, step).total_us;
    if (best != nullptr && us >= best_us) continue;
    best = &candidate;
    best_us = us;
  }
  if (best != nullptr) return {choice_of(profile, best->route, input), Grounds::kEstimate, best_us};
  return {choice_of(profile, safe, input), Grounds::kNoCandidateLeft,
          estimate_cost(profile, safe, input, step).total_us};
}

std::string_view to_string(Grounds grounds) noexcept {
  switch (grounds) {
    case Grounds::kEstimate:
      return "the smallest estimate";
    case Grounds::kNotCovered:
      return "the safe route, not covered by the profile";
    case Grounds::kNoCandidateLeft:
      return "the safe route, no candidate left";
    case Grounds::kNoProfile:
      return "the safe route, no profile";
    case Grounds::kForced:
      break;
  }
  return "the only route that the caller admits";
}

Route safe_route(const RouteOffer& offer, std::optional<Route> profile_route) {
  for (const std::optional<Route> route :
       {offer.safe_route, profile_route, std::optional(Route::kStream), std::optional(Route::kWorkqueue)})
    if (route && offer.routes.contains(*route)) return *route;
  for (const Route route : kRunnableRoutes)
    if (offer.routes.contains(route)) return route;
  throw InvalidArgument("offer.routes is empty, must have at least one route that runs a step");
}

Router::Router(DeviceProfile profile) : profile_(std::move(profile)) { profile_.validate(); }

Choice Router::choose(const PolicyInput& input, const RouteOffer& offer) const { return rule(input, offer).choice; }

Ruling Router::rule(const PolicyInput& input, const RouteOffer& offer) const {
  return detail::rule(profile_, input, summarize(input), offer);
}

}  // namespace pkv
