#pragma once

// The steps that calibration and regret look at.

#include "step_timer.hpp"

#include "persistentkv/policy/router.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace pkv::calibrate {

struct NamedStep {
  std::string workload;
  Lengths lengths;
};

/// `count` steps over batches of 1 to 256 rows and 1 Ki tokens to `max_tokens` in all, spread evenly on both
/// logarithmic scales in any first part of the list; rows in turn alike, uniform about their mean, one as long as all
/// others together, and skewed. Deterministic.
[[nodiscard]] std::vector<NamedStep> grid_steps(int count, std::int64_t max_tokens);

/// `per_run` steps of each of the study's runs but the GQA sweep (which has the steps of another), evenly over those it
/// measures, with requests of `seed`.
[[nodiscard]] std::vector<NamedStep> family_steps(std::uint32_t seed, int per_run);

/// `count` steps of a trace file, evenly over the first `num_steps` that continuous batching makes of it: `max_active`
/// rows at most, prefixes not shared, on a clock where a step takes `layers` times what `router` (if there is one)
/// estimates for a layer of `shape`, or 20 ms where it does not. Throws IoError and InvalidArgument.
struct TraceStepOptions {
  int count = 20;
  std::int64_t num_steps = 4000;
  std::int64_t max_active = 64;
  int layers = 32;
};
[[nodiscard]] std::vector<NamedStep> trace_steps(const std::string& path, const TimedShape& shape, const Router* router,
                                                 const TraceStepOptions& options = {});

/// One of the first list, one of the second, and so on; what is left of the longer one at the end.
[[nodiscard]] std::vector<NamedStep> interleave(std::vector<NamedStep> first, std::vector<NamedStep> second);

}  // namespace pkv::calibrate
