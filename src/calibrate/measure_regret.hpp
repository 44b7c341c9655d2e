#pragma once

// Regret of a profile's choices on a device, on steps that it was not fitted on.

#include "calibrate.hpp"
#include "fit/regret.hpp"
#include "step_timer.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace pkv::calibrate {

struct RegretRunOptions {
  int num_q_heads = 32;
  std::vector<int> group_sizes = {};  ///< empty: those of 4, 1 and 8 that the profile knows, else all that it knows
  int head_dim = 128;
  DType dtype = DType::kF16;
  int page_size = 16;

  std::vector<std::uint32_t> seeds = {20260623, 20260624, 20260625, 20260626, 20260627};
  int steps_per_run = 1;                 ///< of each of the study's six runs, for each seed
  std::vector<std::string> traces = {};  ///< files; see trace_steps
  int steps_per_trace = 20;

  int rounds = 10;      ///< of each step and route, half to choose the best by and half to score it
  double seconds = 60;  ///< group sizes share it alike; one that has used its part leaves steps out
  int layers_per_plan = 32;
};

/// The regret on the steps of one workload: a trace file, or a run of the study over all seeds and one group size.
struct WorkloadRegret {
  std::string workload;
  int group_size = 0;
  fit::RegretReport report;
};

struct RegretRun {
  fit::RegretReport all;
  std::vector<WorkloadRegret> workloads;
  std::vector<fit::StepSample> samples;
  double seconds = 0;
};

/// The regret of a profile's choices on steps timed before. Throws InvalidArgument where there are none.
[[nodiscard]] RegretRun judge(std::vector<fit::StepSample> samples, const DeviceProfile& profile, int layers_per_plan);

/// Times every default choice and every candidate of the profile that runs here. The device must be the profile's, or
/// the policy has nothing to say: throws InvalidArgument where it is not; also where a seed is the calibration's, or
/// nothing runs.
[[nodiscard]] RegretRun measure_regret(StepTimer& timer, const DeviceProfile& profile, const RegretRunOptions& options,
                                       const Progress& progress = {});

}  // namespace pkv::calibrate
