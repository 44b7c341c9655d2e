#pragma once

// A device's profile: steps designed for it, timed on every route, and fitted.

#include "fit/fit_profile.hpp"
#include "step_timer.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace pkv::calibrate {

/// Told how much of the work is done, in [0, 1].
using Progress = std::function<void(double done)>;

struct CalibrationOptions {
  std::string name;         ///< the profile's
  std::string measured_by;  ///< e.g. "pkv 0.1.0"
  std::string date;
  std::vector<Choice> choices;  ///< routes to time; those that do not run here are left out

  // Every combination of these is fitted, over num_q_heads / group size KV heads; of every dtype but the first fewer
  // steps are timed. Of the first group size, head_dim and dtype, fewer steps are timed with every other page size and
  // with a quarter of the heads too.
  int num_q_heads = 32;
  std::vector<int> group_sizes = {4, 1, 8, 2, 16};
  std::vector<int> head_dims = {128};
  std::vector<DType> dtypes = {DType::kF16, DType::kBF16};
  std::vector<int> page_sizes = {16, 64};

  double seconds = 50;  ///< to time steps in; shapes share it alike, and one that has used its part ends early
  int steps = 48;       ///< of a shape, at most: half from a grid, half from the study's families with its calibration
                        ///< seed; at least fit::kLeastFitSamples are timed however long that takes
  int rounds = 5;       ///< of each step, of which the median counts
  int layers_per_plan = 32;
  std::int64_t max_step_bytes = 1ll << 30;  ///< KV of a grid step at most
};

struct Calibration {
  DeviceProfile facts;  ///< the profile before anything is fitted: name, provenance, device, constants
  fit::FittedProfile fitted;
  std::vector<fit::StepSample> samples;
  double seconds = 0;  ///< that it all took
};

/// Every route that is timed by default: all that run steps, and the fused workqueue in other splits than its own.
[[nodiscard]] std::vector<Choice> default_choices();

/// Throws InvalidArgument for options out of their bounds, or where too little runs here to be fitted; and what the
/// timer throws.
[[nodiscard]] Calibration calibrate(StepTimer& timer, const CalibrationOptions& options, const Progress& progress = {});

}  // namespace pkv::calibrate
