#pragma once

// Steps of one shape, timed one after the other within a time.

#include "calibrate.hpp"
#include "designed_steps.hpp"
#include "step_timer.hpp"

#include <chrono>
#include <vector>

namespace pkv::calibrate {

class Stopwatch {
 public:
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

struct TimedSteps {
  TimedShape shape;
  std::vector<NamedStep> steps;
  std::vector<Choice> choices;
  int rounds = 5;
  double seconds = 1e9;  ///< after which no further step is begun
  int least = 0;         ///< steps that are timed all the same
};

/// Adds a sample for each step that fits in the timer's memory, in their order. Times have four decimals.
void time_steps(StepTimer& timer, const TimedSteps& steps, std::vector<fit::StepSample>& samples,
                const Progress& progress = {});

}  // namespace pkv::calibrate
