#pragma once

// Regret: how much longer steps take than on the route that is best for each of them.

#include "samples.hpp"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pkv::fit {

struct RegretOptions {
  int layers_per_plan = 32;  ///< as PolicyInput::layers_per_plan: of the choices, and of the cost they are judged by
};

/// Of one way to choose, over steps. A ratio is the cost of its choice over that of the best choice; with noise that
/// can be below 1.
struct Regret {
  std::string name;  ///< "policy", or the route (and "/splits") that is always taken
  int steps = 0;     ///< of which its choice was timed
  double mean_ratio = 1;
  double max_ratio = 1;
  double mean_us = 0;  ///< of a layer, cost less the best's
  double max_us = 0;
  int steps_over = 0;    ///< both over 1.05 and over 0.5 us
  std::string max_step;  ///< the workload and its number of rows, where max_ratio was seen
};

/// All of it where some choices are admitted.
struct RegretTable {
  Regret policy;
  std::vector<Regret> constants;  ///< every choice that was timed, the smallest mean_ratio first
};

struct RegretReport {
  RegretTable all;
  std::optional<RegretTable> without_stream;  ///< `stream` neither chosen nor the best; where anything else was timed
  int steps = 0;
};

/// The best of a step is chosen by the median of every other repetition and scored by the rest, and so is what is
/// compared with it; then the halves change places, and the two results are averaged: a route that is best by luck does
/// not count as best. Each needs two repetitions or more; steps that have none with so many are left out. Throws
/// InvalidArgument where no step is left.
[[nodiscard]] RegretReport regret_of(const Router& router, std::span<const StepSample> samples,
                                     const RegretOptions& options = {});

/// "stream", "workqueue/24".
[[nodiscard]] std::string name_of(const Choice& choice);

}  // namespace pkv::fit
