#include "persistentkv/runtime/runtime.hpp"

#include "runtime_core.hpp"

#include <utility>

namespace pkv {

Runtime::Runtime(std::optional<DeviceProfile> profile, std::vector<std::shared_ptr<Backend>> backends,
                 RuntimeOptions options)
    : core_(std::make_shared<detail::RuntimeCore>(std::move(profile), std::move(backends), std::move(options))) {}

RuntimeStep Runtime::prepare(const Step& step, const StepHint& hint) {
  detail::StepFacts facts(step, hint);
  const detail::Routed routed = core_->choose(facts);
  PlanOptions plan = core_->options().plan;
  plan.splits = routed.decision.splits;
  std::unique_ptr<PreparedStep> prepared = routed.backend->prepare_route(step, routed.decision.route, plan);
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
