#include "serve.hpp"

#include "persistentkv/core/error.hpp"
#include "recorder.hpp"

#include <fmt/format.h>

#include <utility>

namespace pkv::serving {

namespace {

void validate(const ServingOptions& options) {
  options.shape.validate();
  if (options.layers < 1) throw InvalidArgument(fmt::format("layers is {}, must be >= 1", options.layers));
  if (options.max_steps < 1) throw InvalidArgument(fmt::format("max_steps is {}, must be >= 1", options.max_steps));
  if (options.limit_every < 0)
    throw InvalidArgument(fmt::format("limit_every is {}, must be >= 0", options.limit_every));
  if (options.check_every < 1)
    throw InvalidArgument(fmt::format("check_every is {}, must be >= 1", options.check_every));
}

class Server {
 public:
  Server(RequestSource& source, StepExecutor& executor, const ServingOptions& options)
      : options_(options),
        traffic_(source, options.traffic),
        batcher_(traffic_, options.batching),
        executor_(executor) {}

  ServingResult run(Route route) {
    StepView step;
    while (batcher_.counters().steps < options_.max_steps && batcher_.next_step(step)) run_step(step);
    batcher_.check_conservation();
    ServingResult result;
    result.workload = traffic_.name();
    result.route = route;
    result.counts = batcher_.counters();
    result.active = batcher_.active();
    result.skipped_rows = traffic_.skipped_rows();
    if (!batcher_.rejections().empty()) {
      const Rejection& first = batcher_.rejections().front();
      result.first_rejection = fmt::format("request {}: {}", first.request_id, first.reason);
    }
    result.duration_us = batcher_.now_us() - began_us_;
    result.prefilled_tokens = prefilled_tokens_;
    std::move(recorder_).finish(result);
    return result;
  }

 private:
  void run_step(const StepView& step) {
    const std::int64_t done = batcher_.counters().steps;
    if (done == 0) began_us_ = step.start_us;
    StepAsk ask;
    ask.limit = options_.limit_every > 0 && done % options_.limit_every == 0;
    ask.check = done % options_.check_every == 0 && done / options_.check_every < options_.checks;
    const StepTimes times = executor_.run(step, ask);

    const auto batch = static_cast<std::int64_t>(step.rows.size());
    const double mlp_us = options_.mlp.us(batch);
    const double prefill_us = take_prefill_us(step);
    const double step_us = clock_us(times.attention_us, mlp_us, times.plan_us) + prefill_us;
    const auto kv_bytes = static_cast<double>(step.step(options_.shape, options_.dtype).useful_kv_bytes());
    recorder_.add_step(step, times, mlp_us, step_us, batcher_.pool(), kv_bytes);
    if (times.model_attention_us) {
      recorder_.add_model_error(
          times, step_us,
          clock_us(*times.model_attention_us, mlp_us, times.model_plan_us.value_or(times.plan_us)) + prefill_us);
    }
    for (const FinishedRequest& request : batcher_.finish_step(step_us)) {
      const bool in_time = traffic_.arrival_unit() == ArrivalUnit::kMicroseconds;
      recorder_.add_request(request, in_time ? traffic_.arrived_us(request.request_id) : request.arrival_us);
    }
    if (options_.progress) options_.progress(batcher_.counters().finished);
  }

  [[nodiscard]] double clock_us(double attention_us, double mlp_us, double plan_us) const {
    return options_.layers * (attention_us + mlp_us) + plan_us;
  }

  /// Of the requests that join in this step, where this GPU processes prompts.
  double take_prefill_us(const StepView& step) {
    std::int64_t tokens = 0;
    for (std::size_t row = 0; row < step.rows.size(); ++row)
      if (step.rows[row].is_first) tokens += step.lengths[row];
    tokens -= batcher_.counters().shared_tokens - shared_tokens_;
    shared_tokens_ = batcher_.counters().shared_tokens;
    prefilled_tokens_ += tokens;
    return options_.traffic.prefill.rule == PrefillRule::kInline ? options_.traffic.prefill.us(tokens) : 0.0;
  }

  const ServingOptions& options_;
  Traffic traffic_;
  ContinuousBatcher batcher_;
  StepExecutor& executor_;
  Recorder recorder_;
  double began_us_ = 0.0;
  std::int64_t shared_tokens_ = 0;  // found so far
  std::int64_t prefilled_tokens_ = 0;
};

}  // namespace

double ServingResult::tokens_per_s() const noexcept {
  return duration_us > 0.0 ? static_cast<double>(counts.decoded_tokens) / duration_us * 1e6 : 0.0;
}

double ServingResult::tokens_per_busy_s() const noexcept {
  return busy_us > 0.0 ? static_cast<double>(counts.decoded_tokens) / busy_us * 1e6 : 0.0;
}

ServingResult run_serving(RequestSource& source, StepExecutor& executor, Route route, const ServingOptions& options) {
  validate(options);
  return Server(source, executor, options).run(route);
}

std::string describe_clock(const ServingOptions& options, ArrivalUnit unit) {
  std::string text = fmt::format("virtual: a step lasts {} x (attention of a layer + its MLP) + planning; {}",
                                 options.layers, options.traffic.prefill.describe());
  if (unit == ArrivalUnit::kSteps) text += "; arrivals count decode steps";
  if (options.traffic.speed != 1.0) text += fmt::format("; arrivals {:g} times as fast", options.traffic.speed);
  return text;
}

}  // namespace pkv::serving
