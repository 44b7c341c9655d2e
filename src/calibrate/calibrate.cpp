#include "calibrate.hpp"

#include "designed_steps.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/trace/paper_runs.hpp"
#include "timed_steps.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <set>
#include <utility>

namespace pkv::calibrate {

namespace {

struct ShapePart {
  TimedShape shape;
  double share = 1;  // of the steps and the time
};

void check(const CalibrationOptions& options) {
  const auto require = [](const char* name, double value, double low, double high) {
    if (!(value >= low && value <= high))
      throw InvalidArgument(fmt::format("{} is {}, must be in [{}, {}]", name, value, low, high));
  };
  require("seconds", options.seconds, 0, 86400);
  require("steps", options.steps, fit::kLeastFitSamples, 100000);
  require("rounds", options.rounds, 1, 1000);
  require("num_q_heads", options.num_q_heads, 1, 65536);
  for (const int size : options.group_sizes) require("group_size", size, 1, options.num_q_heads);
  const auto require_some = [](const char* name, const auto& values) {
    if (values.empty()) throw InvalidArgument(fmt::format("{} is empty, must have at least one", name));
  };
  require_some("group_sizes", options.group_sizes);
  require_some("head_dims", options.head_dims);
  require_some("dtypes", options.dtypes);
  require_some("page_sizes", options.page_sizes);
  require_some("choices", options.choices);
}

AttentionShape shape_of(int num_q_heads, int group_size, int head_dim) {
  const int kv_heads = std::max(1, num_q_heads / group_size);
  return {.num_q_heads = kv_heads * group_size, .num_kv_heads = kv_heads, .head_dim = head_dim, .softmax_scale = 0.0};
}

std::vector<ShapePart> parts_of(const CalibrationOptions& options) {
  constexpr double kFewer = 0.35;
  std::vector<ShapePart> parts;
  for (const DType dtype : options.dtypes)
    for (const int dim : options.head_dims)
      for (const int group : options.group_sizes)
        parts.push_back({{shape_of(options.num_q_heads, group, dim), dtype, options.page_sizes.front()},
                         dtype == options.dtypes.front() ? 1 : kFewer});
  TimedShape more = parts.front().shape;
  for (std::size_t i = 1; i < options.page_sizes.size(); ++i) {
    more.page_size = options.page_sizes[i];
    parts.push_back({more, kFewer});
  }
  more.page_size = options.page_sizes.front();
  more.shape = shape_of(options.num_q_heads / 4, more.shape.group_size(), more.shape.head_dim);
  if (more.shape.num_kv_heads < parts.front().shape.shape.num_kv_heads) parts.push_back({more, kFewer});
  return parts;
}

std::vector<NamedStep> steps_of(const ShapePart& part, const CalibrationOptions& options) {
  const int steps = std::max(fit::kLeastFitSamples, static_cast<int>(options.steps * part.share));
  const std::int64_t most = options.max_step_bytes / part.shape.kv_bytes_per_token();
  // Six runs of the study: as many steps of each as make half of the list.
  std::vector<NamedStep> families = family_steps(kCalibrationSeed, std::max(1, (steps / 2 + 5) / 6));
  // In an order that takes from every run however few are timed.
  std::vector<NamedStep> mixed;
  mixed.reserve(families.size());
  constexpr std::size_t kStride = 5;
  for (std::size_t first = 0; first < kStride; ++first)
    for (std::size_t i = first; i < families.size(); i += kStride) mixed.push_back(std::move(families[i]));
  const auto grid = std::max(steps - static_cast<int>(mixed.size()), steps / 2);
  return interleave(grid_steps(grid, most), std::move(mixed));
}

/// What a MiB of states to be merged costs: two runs of the workqueue that differ in their splits only. 0 where they
/// differ by less than a run does from the next.
double merge_us_per_mib(StepTimer& timer, const TimedShape& shape) {
  const std::vector<Choice> choices = {{Route::kWorkqueue, 8}, {Route::kWorkqueue, 40}};
  const Lengths lengths(8, 32768);
  const std::unique_ptr<ShapeTimer> open = timer.open(shape, choices, 5, {lengths});
  if (!open->fits(lengths)) return 0;
  const std::vector<fit::RouteTimes> times = open->time(lengths);
  if (times[0].time_us.empty() || times[1].time_us.empty()) return 0;
  const double mib = (40 - 8) * 8.0 * shape.shape.num_q_heads * (2 + shape.shape.head_dim) * 4 / (1 << 20);
  const auto least = [&](int i) { return *std::min_element(times[i].time_us.begin(), times[i].time_us.end()); };
  const auto spread = [&](int i) { return fit::median(times[i].time_us) - least(i); };
  const double more_us = least(1) - least(0);
  return more_us > std::max(spread(0), spread(1)) ? more_us / mib : 0;
}

}  // namespace

std::vector<Choice> default_choices() {
  std::vector<Choice> choices;
  choices.reserve(std::size(kRunnableRoutes) + 2);
  for (const Route route : kRunnableRoutes) choices.push_back({route});
  choices.push_back({Route::kWorkqueueFused, 16});
  choices.push_back({Route::kWorkqueueFused, 32});
  return choices;
}

Calibration calibrate(StepTimer& timer, const CalibrationOptions& options, const Progress& progress) {
  check(options);
  const Stopwatch watch;
  const std::vector<ShapePart> parts = parts_of(options);
  double shares = 0;
  for (const ShapePart& part : parts) shares += part.share;

  Calibration result;
  double done = 0;
  for (const ShapePart& part : parts) {
    const TimedSteps timed{part.shape, steps_of(part, options), options.choices, options.rounds,
                           // What is left, by the shapes that are left.
                           (options.seconds - watch.seconds()) * part.share / (shares - done), fit::kLeastFitSamples};
    time_steps(timer, timed, result.samples, [&](double part_done) {
      if (progress) progress((done + part_done * part.share) / shares);
    });
    done += part.share;
  }

  DeviceProfile& profile = result.facts;
  profile.name = options.name;
  const TimerFacts& facts = timer.facts();
  profile.device_name = facts.device_name;
  profile.num_sms = facts.num_workers;
  profile.provenance = {options.measured_by, options.date, facts.driver,
                        fmt::format("{} steps, {}; trace seed {}. Fits are in microseconds.", result.samples.size(),
                                    facts.method, kCalibrationSeed)};
  const TimedShape& main = parts.front().shape;
  const auto tokens = static_cast<std::int32_t>(
      std::clamp<std::int64_t>(options.max_step_bytes / main.kv_bytes_per_token() / 8, 64, 32768));
  profile.measured = timer.overheads(main, Lengths(8, tokens));
  profile.measured->merge_us_per_mib = merge_us_per_mib(timer, main);
  profile.cost = {TimeUnits::kSi, profile.measured->page_read_gb_per_s, 1.0, profile.measured->graph_node_us};
  result.fitted = fit::fit_profile(profile, result.samples, options.choices, options.layers_per_plan);
  result.seconds = watch.seconds();
  return result;
}

}  // namespace pkv::calibrate
