#pragma once

// A route of its own on a runtime: what platforms that run steps have in common.

#include "persistentkv/runtime/runtime.hpp"
#include "step_executor.hpp"
#include "step_model.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pkv::serving {

/// What a platform's backends serve.
struct RoutedOptions {
  AttentionShape shape;
  DType dtype = DType::kF16;
  int page_size = 16;
  std::int64_t num_pages = 0;
  int layers = 32;         ///< that share a plan, for the profile's estimates
  std::uint32_t seed = 1;  ///< of K, V and the queries
  std::optional<DeviceProfile> profile =
      std::nullopt;         ///< for the policy, and to compare its estimates with what is measured
  PlanOptionsOf plan = {};  ///< of each route; empty: the defaults
};

/// Empty if one of the backends has the route for the shape, dtype and page size, else each one's reason. For
/// ServingPlatform::why_not.
[[nodiscard]] std::string why_not(const RoutedOptions& options, const std::vector<std::shared_ptr<Backend>>& backends,
                                  Route route);

class RoutedRuntime {
 public:
  /// Throws Unsupported with why_not()'s reason.
  RoutedRuntime(const RoutedOptions& options, const std::vector<std::shared_ptr<Backend>>& backends, Route route);

  /// Chooses and prepares; tells `times` by whom and how long it took, and what the profile says. `view` is the step's.
  [[nodiscard]] RuntimeStep prepare(const StepView& view, const Step& step, const StepHint& hint, StepTimes& times);

 private:
  Runtime runtime_;
  std::optional<StepModel> model_;
  PlanOptions plan_;
};

}  // namespace pkv::serving
