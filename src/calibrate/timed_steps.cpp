#include "timed_steps.hpp"

#include <cmath>
#include <memory>

namespace pkv::calibrate {

namespace {

/// Clocks tell no more, and files with samples are half as long.
double four_decimals(double us) { return std::round(us * 1e4) / 1e4; }

std::vector<fit::RouteTimes> rounded(std::vector<fit::RouteTimes> routes) {
  for (fit::RouteTimes& times : routes) {
    times.plan_us = four_decimals(times.plan_us);
    for (double& us : times.time_us) us = four_decimals(us);
  }
  return routes;
}

}  // namespace

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
                       rounded(open->time(step.lengths))});
    ++timed;
    if (progress) progress(static_cast<double>(i + 1) / static_cast<double>(steps.steps.size()));
  }
  if (progress) progress(1.0);
}

}  // namespace pkv::calibrate
