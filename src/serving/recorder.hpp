#pragma once

// What a serving run keeps of each step and request.

#include "serve.hpp"

namespace pkv::serving {

class Recorder {
 public:
  /// A step as it ran, and how long it was on the clock. Before the batcher is told that it is over.
  void add_step(const StepView& step, const StepTimes& times, double mlp_us, double step_us, const PagePool& pool,
                double useful_kv_bytes);
  /// How long the profile would have had the clock's step last.
  void add_model_error(const StepTimes& times, double step_us, double model_step_us);
  /// `arrived_us`: before its prompt was processed.
  void add_request(const FinishedRequest& request, double arrived_us);

  /// Into everything that the calls above were about.
  void finish(ServingResult& result) &&;

 private:
  double attention_us_ = 0.0, plan_us_ = 0.0, mlp_us_ = 0.0, kv_bytes_ = 0.0, busy_us_ = 0.0;  // sums
  double limit_us_ = 0.0, limit_attention_us_ = 0.0;
  double relative_error_ = 0.0;
  std::int64_t limit_steps_ = 0, checked_steps_ = 0, executed_steps_ = 0;
  KvUse kv_;  // times microseconds
  std::array<std::int64_t, kRunnableRoutes.size()> steps_by_route_{};
  std::vector<double> step_us_, first_token_us_, per_token_us_, wait_us_, attention_errors_, step_errors_;
};

}  // namespace pkv::serving
