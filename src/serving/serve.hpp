#pragma once

// Serves a workload by one route: continuous batching over the page allocator, on a clock that the steps themselves
// set.

#include "distribution.hpp"
#include "mlp_times.hpp"
#include "persistentkv/batching/continuous_batcher.hpp"
#include "step_executor.hpp"
#include "traffic.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace pkv::serving {

/// The clock's rule: a step lasts layers * (attention of a layer + MLP) + planning, and with inline prefill the time of
/// the prompts that join it.
struct ServingOptions {
  AttentionShape shape;
  DType dtype = DType::kF16;
  BatchingOptions batching;
  TrafficOptions traffic;
  int layers = 32;  ///< >= 1
  MlpTimes mlp;     ///< of one layer
  std::int64_t max_steps = INT64_MAX;
  std::int64_t limit_every = 0;                ///< steps from one reading of the limit to the next; 0: none is read
  std::int64_t checks = 0;                     ///< of the results, at most
  std::int64_t check_every = 250;              ///< steps from one check to the next
  std::function<void(std::int64_t)> progress;  ///< after each step: requests finished. May be empty
};

/// Shares of the KV pool, means over the time in steps.
struct KvUse {
  double used = 0.0;      ///< pages that hold tokens, over all; a shared one counts once
  double promised = 0.0;  ///< these, and those that active requests have reserved to grow into
  double filled = 0.0;    ///< tokens held over the slots of used pages; shared ones count once
};

struct ServingResult {
  std::string workload;
  Route route = Route::kPolicy;
  BatchingCounters counts;
  std::int64_t active = 0;            ///< still being decoded where max_steps ended the run
  std::int64_t skipped_rows = 0;      ///< of the trace: nothing to decode
  std::string first_rejection;        ///< empty: none
  double duration_us = 0.0;           ///< from the first request to the end, idle time included
  double busy_us = 0.0;               ///< in steps
  std::int64_t prefilled_tokens = 0;  ///< of the requests admitted, those found in shared pages left out

  // Means over the steps.
  double attention_us = 0.0;  ///< one layer
  double plan_us = 0.0;       ///< once a step
  double mlp_us = 0.0;        ///< one layer
  double kv_bytes = 0.0;      ///< useful, one layer; shared ones once for each row that attends them
  std::int64_t executed_steps = 0;
  std::array<std::int64_t, kRunnableRoutes.size()> steps_by_route{};
  KvUse kv;

  // Over the steps at which the limit was read. A page that rows share is read once for each of them, as they do.
  std::int64_t limit_steps = 0;
  double limit_us = 0.0;            ///< mean
  double limit_attention_us = 0.0;  ///< mean of these steps' attention

  std::int64_t checked_steps = 0;
  double relative_error = 0.0;  ///< worst over the checked steps' rows and heads; NaN where something is NaN

  Distribution step_us;                   ///< of the clock
  Distribution time_to_first_token_us;    ///< of finished requests: from arrival to the end of the first step
  Distribution time_per_output_token_us;  ///< of those with two tokens or more: from the first to the last, over tokens
                                          ///< - 1
  Distribution queue_wait_us;             ///< from being ready to be decoded to admission

  // |what the profile says / what was measured - 1|, of the steps that ran and that it covers.
  std::vector<double> model_attention_errors;
  std::vector<double> model_step_errors;  ///< of the clock's steps, MLP and planning included

  [[nodiscard]] double tokens_per_s() const noexcept;       ///< over duration_us
  [[nodiscard]] double tokens_per_busy_s() const noexcept;  ///< over busy_us
};

/// `source` is read to its end, or to what the options say. Checks that tokens, requests and pages are conserved.
/// Throws InvalidArgument for options out of their bounds, and what source and executor throw.
[[nodiscard]] ServingResult run_serving(RequestSource& source, StepExecutor& executor, Route route,
                                        const ServingOptions& options);

/// One line or more: how long steps and prompts last.
[[nodiscard]] std::string describe_clock(const ServingOptions& options, ArrivalUnit unit);

}  // namespace pkv::serving
