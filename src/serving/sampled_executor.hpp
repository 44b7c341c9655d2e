#pragma once

// A long trace in less time: every so many steps run, the others' times are scaled from them.

#include "step_executor.hpp"
#include "step_model.hpp"

namespace pkv::serving {

/// Steps between two that run take attention * estimate / estimate of the last that ran, and its planning. The estimate
/// is the model's, or without one (null), or where it says nothing, the step's tokens.
class SampledExecutor final : public StepExecutor {
 public:
  /// Throws InvalidArgument unless run_every >= 1. `model` must outlive this.
  SampledExecutor(std::unique_ptr<StepExecutor> inner, std::int64_t run_every, const StepModel* model, Route route);

  [[nodiscard]] StepTimes run(const StepView& step, const StepAsk& ask) override;

 private:
  [[nodiscard]] StepEstimate estimate(const StepView& step) const;

  std::unique_ptr<StepExecutor> inner_;
  std::int64_t run_every_;
  const StepModel* model_;
  Route route_;
  std::int64_t steps_ = 0;
  StepTimes last_;
  double last_estimate_ = 0.0;
};

}  // namespace pkv::serving
