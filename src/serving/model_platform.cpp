#include "model_platform.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace pkv::serving {

namespace {

class ModelExecutor final : public StepExecutor {
 public:
  ModelExecutor(const StepModel& model, Route route, const PlanOptions& plan)
      : model_(model), route_(route), plan_(plan) {}

  [[nodiscard]] StepTimes run(const StepView& step, const StepAsk& /*ask*/) override {
    const StepEstimate estimate = model_.estimate(step, route_, plan_).value();  // the platform has asked before
    StepTimes times;
    times.route = estimate.route;
    times.attention_us = estimate.attention_us;
    times.plan_us = estimate.plan_us.value_or(0.0);
    times.executed = false;
    return times;
  }

 private:
  const StepModel& model_;
  Route route_;
  PlanOptions plan_;
};

}  // namespace

ModelPlatform::ModelPlatform(DeviceProfile profile, const AttentionShape& shape, DType dtype, int layers,
                             PlanOptionsOf plan)
    : model_(std::move(profile), shape, dtype, layers), plan_(std::move(plan)) {}

std::string ModelPlatform::why_not(Route route) const {
  const std::array<std::int32_t, 1> token{1};  // whether there is an estimate does not depend on lengths
  StepView step;
  step.lengths = token;
  step.capacity_tokens = token;
  step.page_size = 16;  // any
  if (model_.estimate(step, route)) return {};
  return fmt::format("profile {} says nothing of {} for this shape and dtype", model_.profile().name, to_string(route));
}

std::unique_ptr<StepExecutor> ModelPlatform::executor(Route route) {
  if (const std::string why = why_not(route); !why.empty()) throw Unsupported(why);
  return std::make_unique<ModelExecutor>(model_, route, plan_ ? plan_(route) : PlanOptions{});
}

std::string ModelPlatform::name() const {
  const DeviceProfile& profile = model_.profile();
  return fmt::format("model, profile {} of {}: nothing is run", profile.name, profile.device_name);
}

}  // namespace pkv::serving
