#include "persistentkv/runtime/runtime.hpp"

#include "runtime_core.hpp"

#include <utility>

namespace pkv {

Runtime::Runtime(std::optional<DeviceProfile> profile, std::vector<std::shared_ptr<Backend>> backends,
                 RuntimeOptions options)
    : core_(std::make_shared<detail::RuntimeCore>(std::move(profile), std::move(backends), std::move(options))) {}

namespace {

/// The step with its indices where `route` takes them from best.
Step step_for(const Capabilities& can, Route route, const Step& step, const StepHint& hint) {
  if (hint.host_step == nullptr || can.takes_device_lengths(route)) return step;
  const bool rectangular = !step.table.row_offsets && !step.table.row_ids;
  Step given = *hint.host_step;
  if (can.device_table && schedule_of(route) && rectangular) given.table = step.table;  // no need to upload it
  return given;
}

PlanOptions plan_for(const Capabilities& can, const RuntimeDecision& decision, PlanOptions options) {
  options.splits = decision.splits;
  if (decision.route == Route::kStream && options.tile_tokens == PlanOptions{}.tile_tokens)
    options.tile_tokens = can.stream_tile_tokens;
  return options;
}

}  // namespace

RuntimeStep Runtime::prepare(const Step& step, const StepHint& hint) {
  detail::StepFacts facts(step, hint);
  const detail::Routed routed = core_->choose(facts);
  const Capabilities& can = routed.backend->capabilities();
  const Route route = routed.decision.route;
  std::unique_ptr<PreparedStep> prepared = routed.backend->prepare_route(
      step_for(can, route, step, hint), route, plan_for(can, routed.decision, core_->options().plan));
  RuntimeStep ready(std::make_unique<detail::RuntimeStepState>(
      detail::RuntimeStepState{core_, std::move(facts), routed.decision, std::move(prepared)}));
  core_->counters().count_step(routed.decision);
  if (core_->options().observer) core_->options().observer(ready);
  return ready;
}

RuntimeDecision Runtime::choose(const Step& step, const StepHint& hint) const {
  return core_->choose(detail::StepFacts(step, hint)).decision;
}

Decision Runtime::explain(const Step& step, const StepHint& hint) const {
  return core_->explain(detail::StepFacts(step, hint));
}

std::vector<OfferedRoute> Runtime::offers(const AttentionShape& shape, DType dtype, int page_size,
                                          bool on_device) const {
  shape.validate();
  const detail::OfferQuery query{shape, dtype, page_size, on_device};
  const detail::Offers offers = detail::offers_of(core_->backends(), query);
  std::vector<OfferedRoute> routes;
  routes.reserve(kRunnableRoutes.size());
  for (const Route route : kRunnableRoutes) {
    if (const Backend* backend = offers.backend(route))
      routes.push_back({route, backend->name(), {}});
    else
      routes.push_back({route, {}, detail::why_nobody(core_->backends(), route, query)});
  }
  return routes;
}

RuntimeCounters Runtime::counters() const noexcept { return core_->counters().snapshot(); }

const DeviceProfile* Runtime::profile() const noexcept {
  return core_->router() != nullptr ? &core_->router()->profile() : nullptr;
}

}  // namespace pkv
