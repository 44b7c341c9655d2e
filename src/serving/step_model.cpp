#include "step_model.hpp"

#include <utility>

namespace pkv::serving {

StepModel::StepModel(DeviceProfile profile, const AttentionShape& shape, DType dtype, int layers)
    : router_(std::move(profile)), shape_(shape), dtype_(dtype), layers_(layers) {}

std::optional<StepEstimate> StepModel::estimate(const StepView& step, Route route, const PlanOptions& options) const {
  PolicyInput input;
  input.step = {.shape = shape_, .lengths = step.lengths, .capacity_tokens = step.capacity_tokens};
  input.dtype = dtype_;
  input.options = options;
  input.page_size = step.page_size;
  input.layers_per_plan = layers_;
  const RouteOffer offer = route == Route::kPolicy ? RouteOffer{} : RouteOffer{RouteSet{route}, route};
  const Ruling ruling = router_.rule(input, offer);
  if (!ruling.estimate_us) return std::nullopt;
  const auto [chosen, chosen_splits] = ruling.choice;
  const RouteCandidate* candidate = profile().candidate(chosen, chosen_splits);
  if (candidate == nullptr) candidate = profile().candidate(chosen);
  input.options.splits = chosen_splits;
  const CostEstimate cost = candidate != nullptr ? estimate_cost(profile(), *candidate, input, summarize(input))
                                                 : estimate_cost(profile(), chosen, input, summarize(input));
  if (!cost.is_fitted) return StepEstimate{chosen, cost.total_us, std::nullopt};
  return StepEstimate{chosen, cost.total_us - cost.plan_us, cost.plan_us * layers_};
}

}  // namespace pkv::serving
