#pragma once

// Steps that nobody runs: a profile says how long they take, so that one can ask what a GPU one does not have would do.

#include "step_executor.hpp"
#include "step_model.hpp"

namespace pkv::serving {

class ModelPlatform final : public ServingPlatform {
 public:
  /// Throws InvalidArgument as StepModel does. `plan` may be empty: the defaults.
  ModelPlatform(DeviceProfile profile, const AttentionShape& shape, DType dtype, int layers, PlanOptionsOf plan = {});

  [[nodiscard]] std::string why_not(Route route) const override;
  [[nodiscard]] std::unique_ptr<StepExecutor> executor(Route route) override;
  [[nodiscard]] std::string name() const override;
  [[nodiscard]] std::string cache_state() const override { return "cold, as the profile has it: nothing was run"; }

 private:
  StepModel model_;
  PlanOptionsOf plan_;
};

}  // namespace pkv::serving
