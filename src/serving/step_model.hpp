#pragma once

// What a device profile says of a step: who would run it, and how long it would take.

#include "persistentkv/batching/continuous_batcher.hpp"
#include "persistentkv/policy/router.hpp"

#include <optional>

namespace pkv::serving {

/// One layer's attention, and planning once a step where the profile knows of it.
struct StepEstimate {
  Route route = Route::kStream;
  double attention_us = 0.0;
  std::optional<double> plan_us;
};

class StepModel {
 public:
  /// Planning is shared by `layers` layers. Throws InvalidArgument as Router does.
  StepModel(DeviceProfile profile, const AttentionShape& shape, DType dtype, int layers);

  [[nodiscard]] const DeviceProfile& profile() const noexcept { return router_.profile(); }

  /// Nothing where the profile does not cover the shape, or has nothing fitted for the route. kPolicy: the profile's
  /// choice. `options` are the run's.
  [[nodiscard]] std::optional<StepEstimate> estimate(const StepView& step, Route route,
                                                     const PlanOptions& options = {}) const;

 private:
  Router router_;
  AttentionShape shape_;
  DType dtype_;
  int layers_;
};

}  // namespace pkv::serving
