#pragma once

/// Which route a step takes, and why.

#include "persistentkv/policy/cost_model.hpp"
#include "persistentkv/policy/device_profile.hpp"

#include <string>
#include <vector>

namespace pkv {

/// What to run: the route, and PlanOptions::splits for it.
struct Choice {
  Route route = Route::kFlashInferTensorCore;
  int splits = 0;  ///< 0: the schedule's own rule, or a route that is not ours

  friend bool operator==(const Choice&, const Choice&) = default;
};

/// A route as the policy saw it.
struct RouteVerdict {
  Route route = Route::kFlashInferTensorCore;
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

/// The rule, in this order: a group size, head_dim or dtype the profile was not calibrated for -> the safe route; the
/// gates rule candidates out; of those left, the smallest estimate; none left -> the safe route.
/// Immutable: any number of threads may ask one router.
class Router {
 public:
  /// Throws InvalidArgument as DeviceProfile::validate does.
  explicit Router(DeviceProfile profile);

  [[nodiscard]] const DeviceProfile& profile() const noexcept { return profile_; }

  /// For every step: O(batch), and no allocation unless the profile has one of the bucket routes among its candidates
  /// and the batch more than 512 rows. Throws InvalidArgument as summarize() and estimate_cost() do.
  [[nodiscard]] Choice choose(const PolicyInput& input) const;

  /// The same choice, with every route's estimate and the rules that spoke. Throws as choose() does.
  [[nodiscard]] Decision explain(const PolicyInput& input) const;

 private:
  DeviceProfile profile_;
};

}  // namespace pkv
