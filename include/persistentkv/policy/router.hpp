#pragma once

/// Which route a step takes, and why.

#include "persistentkv/policy/cost_model.hpp"
#include "persistentkv/policy/device_profile.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pkv {

namespace detail {
class Shortlist;
}  // namespace detail

/// What to run: the route, and PlanOptions::splits for it.
struct Choice {
  Route route = Route::kFlashInferTensorCore;
  int splits = 0;  ///< 0: the schedule's own rule, or a route that is not ours

  friend bool operator==(const Choice&, const Choice&) = default;
};

/// What there is to choose from.
struct RouteOffer {
  RouteSet routes = RouteSet::all();  ///< those that somebody can run; at least one
  std::optional<Route> safe_route;    ///< in place of the profile's
};

/// Why a route was taken.
enum class Grounds : std::uint8_t {
  kEstimate,         ///< the smallest estimate of the candidates left (CostEstimate::cautious_us), or the only one; or
                     ///< the safe route, where that is smaller by less than the profile's margin
  kNotCovered,       ///< the safe route: the profile is not for this step or device
  kNoCandidateLeft,  ///< the safe route: gates, or the lack of somebody to run them, rule out every candidate
  kNoProfile,        ///< the safe route: there is no profile. Not a router's, which has one
  kForced,           ///< the caller named it. Not a router's
};

inline constexpr int kNumGrounds = 5;

/// A few words: "the smallest estimate", "the safe route, not covered by the profile", ...
[[nodiscard]] std::string_view to_string(Grounds grounds) noexcept;

/// A choice without its explanation.
struct Ruling {
  Choice choice;
  Grounds grounds = Grounds::kEstimate;
  std::optional<double> estimate_us;  ///< of the choice; nothing where the profile does not cover the step
};

/// A route as the policy saw it.
struct RouteVerdict {
  Route route = Route::kFlashInferTensorCore;
  int splits = 0;  ///< that it would be given; 0: the schedule's own rule, or a route that is not ours
  CostEstimate estimate;
  bool chosen = false;
  std::string ruled_out_by;  ///< the rule and its numbers; empty if the route stood for choice
};

/// A choice and its grounds.
struct Decision {
  Choice choice;
  std::string reason;   ///< one sentence
  std::string profile;  ///< its name
  StepSummary step;
  std::vector<RouteVerdict> routes;  ///< the profile's candidates in its order, then every other route
};

/// A table for people, of several lines.
[[nodiscard]] std::string describe(const Decision& decision);

/// The safe route of what is offered: the offer's own or, where it names none or none that it has, `profile_route`;
/// else `stream`, `workqueue`, or the first there is. Throws InvalidArgument where nothing is offered.
[[nodiscard]] Route safe_route(const RouteOffer& offer, std::optional<Route> profile_route = std::nullopt);

/// The rule, in this order: a group size, head_dim, dtype or device the profile was not calibrated for -> the safe
/// route; gates, and the lack of an offer, rule candidates out; of those left, the smallest estimate; none left -> the
/// safe route. Where every route is offered, the safe route is the profile's.
/// Immutable: any number of threads may ask one router.
class Router {
 public:
  /// Throws InvalidArgument as DeviceProfile::validate does.
  explicit Router(DeviceProfile profile);

  [[nodiscard]] const DeviceProfile& profile() const noexcept { return profile_; }

  /// For every step: O(batch), and no allocation unless one of the bucket routes is estimated for more than 512 rows.
  /// Of a fitted profile, only those candidates are estimated in full that a part of their terms does not rule out.
  /// Throws InvalidArgument as summarize() and estimate_cost() do, and where nothing is offered.
  [[nodiscard]] Choice choose(const PolicyInput& input, const RouteOffer& offer = {}) const;

  /// The same choice, with its grounds and its estimate. Costs and throws as choose() does.
  [[nodiscard]] Ruling rule(const PolicyInput& input, const RouteOffer& offer = {}) const;

  /// The choice, where it does not depend on lengths: with a margin of 1 a fitted profile has its safe route run every
  /// step of a shape, unless a gate speaks of it or nobody offers it. Nothing where the rule must be asked. Throws
  /// InvalidArgument for options out of their bounds, as estimate_cost() does.
  [[nodiscard]] std::optional<Choice> settled(const PolicyInput& input, const RouteOffer& offer = {}) const;

  /// The same choice, with every route's estimate and the rules that spoke. Throws as choose() does.
  [[nodiscard]] Decision explain(const PolicyInput& input, const RouteOffer& offer = {}) const;

 private:
  /// The one for the input's shape and dtype, or null.
  [[nodiscard]] const detail::Shortlist* shortlist(const PolicyInput& input, const RouteOffer& offer) const noexcept;

  DeviceProfile profile_;
  std::shared_ptr<const std::vector<detail::Shortlist>> shortlists_;  // of profile_; shared by copies
};

}  // namespace pkv
