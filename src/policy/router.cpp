#include "persistentkv/policy/router.hpp"

#include "persistentkv/core/error.hpp"
#include "rules.hpp"
#include "shortlist.hpp"

#include <utility>

namespace pkv {

namespace {

/// With the splits that the route would be given: the run's, else those of the profile's first candidate of it.
Choice profile_choice(const DeviceProfile& profile, Route route, const PolicyInput& input) noexcept {
  const RouteCandidate* candidate = profile.candidate(route);
  return detail::choice_of(route, candidate != nullptr ? candidate->splits : 0, input);
}

}  // namespace

Ruling detail::rule(const DeviceProfile& profile, const PolicyInput& input, const StepSummary& step,
                    const RouteOffer& offer) {
  const Route safe = safe_route(offer, profile.safe_route);
  if (!covers(profile, input)) return {profile_choice(profile, safe, input), Grounds::kNotCovered, std::nullopt};
  struct Estimated {
    const RouteCandidate* candidate = nullptr;
    double us = 0;
    double cautious_us = 0;
  };
  Estimated best, trusted;
  for (const RouteCandidate& candidate : profile.candidates) {
    if (!offer.routes.contains(candidate.route) || !estimates(candidate, input) ||
        failed_gate(profile, candidate.route, step) != nullptr)
      continue;
    const CostEstimate estimate = estimate_cost(profile, candidate, input, step);
    const Estimated here{&candidate, estimate.total_us, estimate.cautious_us};
    if (best.candidate == nullptr || here.cautious_us < best.cautious_us) best = here;
    if (trusted.candidate == nullptr && candidate.route == profile.safe_route) trusted = here;
  }
  if (trusted.candidate != nullptr && profile.margin > 0 &&
      best.cautious_us >= trusted.cautious_us * (1 - profile.margin))
    best = trusted;
  if (best.candidate != nullptr)
    return {choice_of(best.candidate->route, best.candidate->splits, input), Grounds::kEstimate, best.us};
  const CostEstimate estimate = estimate_cost(profile, safe, input, step);
  Ruling ruling{profile_choice(profile, safe, input), Grounds::kNoCandidateLeft, std::nullopt};
  if (estimate.is_fitted == profile.is_fitted()) ruling.estimate_us = estimate.total_us;
  return ruling;
}

Choice detail::choice_of(Route route, int candidate_splits, const PolicyInput& input) noexcept {
  const auto schedule = schedule_of(route);
  if (!schedule || schedule == Schedule::kStream) return {route, 0};
  return {route, input.options.splits > 0 ? input.options.splits : candidate_splits};
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

Router::Router(DeviceProfile profile) : profile_(std::move(profile)) {
  profile_.validate();
  shortlists_ = std::make_shared<const std::vector<detail::Shortlist>>(detail::shortlists_of(profile_));
}

Choice Router::choose(const PolicyInput& input, const RouteOffer& offer) const { return rule(input, offer).choice; }

const detail::Shortlist* Router::shortlist(const PolicyInput& input, const RouteOffer& offer) const noexcept {
  const AttentionShape& shape = input.step.shape;
  const bool same_device = input.device_name.empty() || input.device_name == profile_.device_name;
  if (!same_device || offer.routes.empty()) return nullptr;
  for (const detail::Shortlist& list : *shortlists_)
    if (list.is_for(shape.group_size(), shape.head_dim, input.dtype)) return &list;
  return nullptr;
}

Ruling Router::rule(const PolicyInput& input, const RouteOffer& offer) const {
  const StepSummary step = summarize(input);
  if (const detail::Shortlist* list = shortlist(input, offer))
    if (const auto ruling = list->rule(profile_, input, step, offer)) return *ruling;
  return detail::rule(profile_, input, step, offer);
}

std::optional<Choice> Router::settled(const PolicyInput& input, const RouteOffer& offer) const {
  detail::check_options(input);
  const detail::Shortlist* list = shortlist(input, offer);
  return list != nullptr ? list->settled(input, offer) : std::nullopt;
}

}  // namespace pkv
