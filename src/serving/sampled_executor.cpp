#include "sampled_executor.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <numeric>
#include <utility>

namespace pkv::serving {

SampledExecutor::SampledExecutor(std::unique_ptr<StepExecutor> inner, std::int64_t run_every, const StepModel* model,
                                 Route route)
    : inner_(std::move(inner)), run_every_(run_every), model_(model), route_(route) {
  if (run_every_ < 1) throw InvalidArgument(fmt::format("run_every is {}, must be >= 1", run_every_));
}

StepEstimate SampledExecutor::estimate(const StepView& step) const {
  if (model_ != nullptr)
    if (const std::optional<StepEstimate> estimate = model_->estimate(step, route_)) return *estimate;
  StepEstimate tokens;
  tokens.route = last_.route;
  tokens.attention_us = std::accumulate(step.lengths.begin(), step.lengths.end(), 0.0);
  return tokens;
}

StepTimes SampledExecutor::run(const StepView& step, const StepAsk& ask) {
  const StepEstimate now = estimate(step);
  if (steps_++ % run_every_ == 0) {
    last_ = inner_->run(step, ask);
    last_estimate_ = now.attention_us;
    return last_;
  }
  StepTimes times;
  times.route = model_ != nullptr ? now.route : last_.route;
  times.attention_us = last_.attention_us * now.attention_us / last_estimate_;
  times.plan_us = last_.plan_us;
  times.executed = false;
  return times;
}

}  // namespace pkv::serving
