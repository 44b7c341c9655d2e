#include "recorder.hpp"

#include <cmath>
#include <utility>

namespace pkv::serving {

namespace {

/// Tokens that pages hold, those of shared pages once. A page that rows share is full, since prefix blocks are whole
/// pages: whatever rows hold more often than the pool has it, they hold in full pages.
double distinct_tokens(const StepView& step, std::int64_t used_pages) {
  std::int64_t tokens = 0;
  std::int64_t capacity = 0;
  for (std::size_t row = 0; row < step.lengths.size(); ++row) {
    tokens += step.lengths[row];
    capacity += step.capacity_tokens[row];
  }
  return static_cast<double>(tokens - (capacity - used_pages * step.page_size));
}

}  // namespace

void Recorder::add_step(const StepView& step, const StepTimes& times, double mlp_us, double step_us,
                        const PagePool& pool, double useful_kv_bytes) {
  attention_us_ += times.attention_us;
  plan_us_ += times.plan_us;
  mlp_us_ += mlp_us;
  kv_bytes_ += useful_kv_bytes;
  busy_us_ += step_us;
  step_us_.push_back(step_us);
  ++steps_by_route_[static_cast<std::size_t>(times.route)];
  if (times.executed) ++executed_steps_;
  if (times.limit_us) {
    ++limit_steps_;
    limit_us_ += *times.limit_us;
    limit_attention_us_ += times.attention_us;
  }
  if (times.relative_error) {
    ++checked_steps_;
    if (!(*times.relative_error <= relative_error_)) relative_error_ = *times.relative_error;  // NaN stays
  }
  const auto pages = static_cast<double>(pool.num_pages());
  const auto used = static_cast<double>(pool.used_pages());
  kv_.used += step_us * used / pages;
  kv_.promised += step_us * (used + static_cast<double>(pool.reserved_pages())) / pages;
  kv_.filled += step_us * distinct_tokens(step, pool.used_pages()) / (used * step.page_size);
}

void Recorder::add_model_error(const StepTimes& times, double step_us, double model_step_us) {
  if (!times.executed || !times.model_attention_us || !(times.attention_us > 0.0)) return;
  attention_errors_.push_back(std::abs(*times.model_attention_us / times.attention_us - 1.0));
  step_errors_.push_back(std::abs(model_step_us / step_us - 1.0));
}

void Recorder::add_request(const FinishedRequest& request, double arrived_us) {
  first_token_us_.push_back(request.first_token_us - arrived_us);
  wait_us_.push_back(request.admitted_us - request.arrival_us);
  if (request.decode_tokens < 2) return;
  per_token_us_.push_back((request.finished_us - request.first_token_us) /
                          static_cast<double>(request.decode_tokens - 1));
}

void Recorder::finish(ServingResult& result) && {
  const double steps = step_us_.empty() ? 1.0 : static_cast<double>(step_us_.size());
  result.attention_us = attention_us_ / steps;
  result.plan_us = plan_us_ / steps;
  result.mlp_us = mlp_us_ / steps;
  result.kv_bytes = kv_bytes_ / steps;
  result.busy_us = busy_us_;
  result.executed_steps = executed_steps_;
  result.steps_by_route = steps_by_route_;
  if (busy_us_ > 0.0) result.kv = {kv_.used / busy_us_, kv_.promised / busy_us_, kv_.filled / busy_us_};
  result.limit_steps = limit_steps_;
  if (limit_steps_ > 0) {
    result.limit_us = limit_us_ / static_cast<double>(limit_steps_);
    result.limit_attention_us = limit_attention_us_ / static_cast<double>(limit_steps_);
  }
  result.checked_steps = checked_steps_;
  result.relative_error = relative_error_;
  result.step_us = distribution_of(std::move(step_us_));
  result.time_to_first_token_us = distribution_of(std::move(first_token_us_));
  result.time_per_output_token_us = distribution_of(std::move(per_token_us_));
  result.queue_wait_us = distribution_of(std::move(wait_us_));
  result.model_attention_errors = std::move(attention_errors_);
  result.model_step_errors = std::move(step_errors_);
}

}  // namespace pkv::serving
