#include "routed.hpp"

#include "persistentkv/core/error.hpp"
#include "replay/elapsed.hpp"

#include <fmt/format.h>

#include <chrono>
#include <utility>

namespace pkv::serving {

namespace {

PlanOptions plan_of(const PlanOptionsOf& plan, Route route) { return plan ? plan(route) : PlanOptions{}; }

RuntimeOptions runtime_options(const RoutedOptions& options, Route route) {
  RuntimeOptions wanted;
  wanted.route = route;
  wanted.plan = plan_of(options.plan, route);
  wanted.layers_per_plan = options.layers;
  return wanted;
}

}  // namespace

std::string why_not(const RoutedOptions& options, const std::vector<std::shared_ptr<Backend>>& backends, Route route) {
  const Runtime runtime(std::nullopt, backends);
  for (const OfferedRoute& offer : runtime.offers(options.shape, options.dtype, options.page_size))
    if (offer.route == route) return offer.why_not;
  return {};
}

RoutedRuntime::RoutedRuntime(const RoutedOptions& options, const std::vector<std::shared_ptr<Backend>>& backends,
                             Route route)
    : runtime_(options.profile, backends, runtime_options(options, route)), plan_(plan_of(options.plan, route)) {
  if (const std::string why = why_not(options, backends, route); !why.empty())
    throw Unsupported(fmt::format("route is {}, which nobody here has: {}", to_string(route), why));
  if (options.profile) model_.emplace(*options.profile, options.shape, options.dtype, options.layers);
}

RuntimeStep RoutedRuntime::prepare(const StepView& view, const Step& step, const StepHint& hint, StepTimes& times) {
  const auto begin = std::chrono::steady_clock::now();
  RuntimeStep prepared = runtime_.prepare(step, hint);
  times.plan_us = replay::elapsed_us(begin);
  const RuntimeDecision& decision = prepared.decision();
  times.route = decision.route;
  if (!model_) return prepared;
  PlanOptions plan = plan_;
  plan.splits = decision.splits;
  if (const auto estimate = model_->estimate(view, decision.route, plan)) {
    times.model_attention_us = estimate->attention_us;
    times.model_plan_us = estimate->plan_us;
  }
  return prepared;
}

}  // namespace pkv::serving
