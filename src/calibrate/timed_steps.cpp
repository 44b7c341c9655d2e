#include "timed_steps.hpp"

#include <memory>

namespace pkv::calibrate {

void time_steps(StepTimer& timer, const TimedSteps& steps, std::vector<fit::StepSample>& samples,
                const Progress& progress) {
  const Stopwatch watch;
  std::vector<Lengths> all;
  all.reserve(steps.steps.size());
  for (const NamedStep& step : steps.steps) all.push_back(step.lengths);
  const std::unique_ptr<ShapeTimer> open = timer.open(steps.shape, steps.choices, steps.rounds, all);
  int timed = 0;
  for (std::size_t i = 0; i < steps.steps.size(); ++i) {
    if (timed >= steps.least && watch.seconds() >= steps.seconds) break;
    const NamedStep& step = steps.steps[i];
    if (!open->fits(step.lengths)) continue;
    samples.push_back({step.workload, steps.shape.shape, steps.shape.dtype, steps.shape.page_size, step.lengths,
                       open->time(step.lengths)});
    ++timed;
    if (progress) progress(static_cast<double>(i + 1) / static_cast<double>(steps.steps.size()));
  }
  if (progress) progress(1.0);
}

}  // namespace pkv::calibrate
