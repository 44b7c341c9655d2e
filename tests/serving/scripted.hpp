#pragma once

// Executors that tell times which a test can compute by hand.

#include "serving/serve.hpp"

#include <functional>
#include <utility>
#include <vector>

namespace pkv::serving::testing_support {

class ScriptedExecutor final : public StepExecutor {
 public:
  explicit ScriptedExecutor(std::function<StepTimes(const StepView&)> times) : times_(std::move(times)) {}

  [[nodiscard]] StepTimes run(const StepView& step, const StepAsk& ask) override {
    asked.push_back(ask);
    StepTimes times = times_(step);
    if (ask.limit) times.limit_us = times.attention_us / 2;
    if (ask.check) times.relative_error = 1e-4 * static_cast<double>(asked.size());
    return times;
  }

  std::vector<StepAsk> asked;

 private:
  std::function<StepTimes(const StepView&)> times_;
};

/// 10 us of attention a row, 1 us of planning.
inline StepTimes ten_a_row(const StepView& step) {
  StepTimes times;
  times.route = Route::kStream;
  times.attention_us = 10.0 * static_cast<double>(step.rows.size());
  times.plan_us = 1.0;
  return times;
}

/// Two layers, an MLP of 3 us for a row and 5 for two; 8 pages of 16 tokens; prompts take no time.
inline ServingOptions small_options() {
  ServingOptions options;
  options.shape = {.num_q_heads = 4, .num_kv_heads = 2, .head_dim = 32};
  options.batching.num_pages = 8;
  options.layers = 2;
  options.mlp = MlpTimes({{1, 3.0}, {2, 5.0}}, "by hand");
  options.traffic.prefill = {PrefillRule::kNone, 1e6};
  return options;
}

}  // namespace pkv::serving::testing_support
