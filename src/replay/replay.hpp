#pragma once

// Runs every step of a workload on every route, side by side, and says what it took and whether it was right.

#include "accuracy.hpp"
#include "device.hpp"
#include "persistentkv/policy/router.hpp"
#include "statistics.hpp"
#include "workload.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace pkv::replay {

/// How long a step lasts on the virtual clock. Only workloads that arrive in microseconds notice.
enum class Clock : std::uint8_t {
  kMeasured,  ///< what the first route took, planning included
  kProfile,   ///< what a profile's cost model estimates for the route that it chooses
};

struct ReplayOptions {
  AttentionShape shape;
  DType dtype = DType::kF16;
  std::vector<ReplayRoute> routes;  ///< at least one; all of them run each step, each time another one first
  std::int64_t max_steps = 48;      ///< >= 1
  std::int64_t check_every = 0;     ///< steps from one check against the oracle to the next; 0: never
  Clock clock = Clock::kMeasured;
  const Router* router = nullptr;  ///< for Clock::kProfile
  int layers = 1;                  ///< layers of a step on the virtual clock, each as long as the one that ran
  std::uint32_t seed = 1;          ///< of the queries
  std::function<void(std::int64_t)> progress;  ///< after each step: steps done. May be empty
};

struct RouteResult {
  std::string name;
  Statistics time_us;         ///< one layer, without planning
  Statistics plan_us;         ///< validation of the step, planning and preparation
  Statistics step_us;         ///< both
  ExecutedCounters executed;  ///< sums over the steps, counted by those who did the work
  double tokens_per_s = 0.0;  ///< rows of all steps over the sum of step_us
  double limit_us = 0.0;      ///< mean over the steps; 0 where no limit is known
  Accuracy accuracy;
};

struct ReplayResult {
  std::string workload;
  std::int64_t steps = 0;
  std::int64_t rows = 0;              ///< of all steps: tokens decoded
  std::int64_t kv_tokens = 0;         ///< of all steps: sum of lengths
  std::int64_t useful_kv_bytes = 0;   ///< of all steps
  std::int64_t page_bytes = 0;        ///< of all steps: every page touched, whole; shared pages once for each row
  std::int64_t distinct_lengths = 0;  ///< of all steps
  std::int64_t page_size = 0;
  std::int64_t num_pages = 0;  ///< physical
  std::vector<std::int64_t> checked_steps;
  std::string clock;                 ///< how the virtual clock went, for people
  std::vector<std::string> account;  ///< Workload::account()
  std::vector<RouteResult> routes;
};

/// `device` holds the pages of `workload`. Throws what the device and the workload throw.
[[nodiscard]] ReplayResult run_replay(Workload& workload, ReplayDevice& device, const ReplayOptions& options);

}  // namespace pkv::replay
