#include "step_model.hpp"

#include <utility>

namespace pkv::serving {

StepModel::StepModel(DeviceProfile profile, const AttentionShape& shape, DType dtype, int layers)
    : router_(std::move(profile)), shape_(shape), dtype_(dtype), layers_(layers) {}

std::optional<StepEstimate> StepModel::estimate(const StepView& step, Route route, int splits) const {
  PolicyInput input;
  input.step = {.shape = shape_, .lengths = step.lengths, .capacity_tokens = step.capacity_tokens};
  input.dtype = dtype_;
  input.options.splits = splits;
  const RouteOffer offer = route == Route::kPolicy ? RouteOffer{} : RouteOffer{RouteSet{route}, route};
  const Ruling ruling = router_.rule(input, offer);
  if (!ruling.estimate_us) return std::nullopt;
  input.options.splits = ruling.choice.splits;
  const CostEstimate cost = estimate_cost(profile(), ruling.choice.route, input, summarize(input));
  return StepEstimate{ruling.choice.route, cost.total_us, std::nullopt};
}

}  // namespace pkv::serving
