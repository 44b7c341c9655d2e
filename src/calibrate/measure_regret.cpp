#include "measure_regret.hpp"

#include "designed_steps.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/trace/paper_runs.hpp"
#include "timed_steps.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

namespace pkv::calibrate {

namespace {

std::vector<int> group_sizes_of(const DeviceProfile& profile, const RegretRunOptions& options) {
  if (!options.group_sizes.empty()) return options.group_sizes;
  std::vector<int> sizes;
  const auto known = [&](int size) {
    return std::find(profile.group_sizes.begin(), profile.group_sizes.end(), size) != profile.group_sizes.end();
  };
  for (const int size : {4, 1, 8})
    if (known(size) && size <= options.num_q_heads) sizes.push_back(size);
  return sizes.empty() ? profile.group_sizes : sizes;
}

std::vector<Choice> choices_of(const DeviceProfile& profile) {
  std::vector<Choice> choices = default_choices();
  for (const RouteCandidate& candidate : profile.candidates) {
    const Choice choice{candidate.route, candidate.splits};
    if (std::find(choices.begin(), choices.end(), choice) == choices.end()) choices.push_back(choice);
  }
  return choices;
}

void check(const StepTimer& timer, const DeviceProfile& profile, const RegretRunOptions& options) {
  profile.require_device(timer.facts().device_name);
  for (const std::uint32_t seed : options.seeds)
    if (seed == kCalibrationSeed)
      throw InvalidArgument(fmt::format("seeds has {}, which profiles are fitted on, must have others only", seed));
  if (options.rounds < 2) throw InvalidArgument(fmt::format("rounds is {}, must be at least 2", options.rounds));
  if (options.steps_per_run < 0 || options.steps_per_trace < 1)
    throw InvalidArgument(fmt::format("steps are {} of a run and {} of a trace, must be >= 0 and >= 1",
                                      options.steps_per_run, options.steps_per_trace));
}

std::vector<NamedStep> steps_of(const TimedShape& shape, const Router& router, const RegretRunOptions& options) {
  std::vector<NamedStep> steps;
  for (const std::uint32_t seed : options.seeds) {
    if (options.steps_per_run == 0) break;
    for (NamedStep& step : family_steps(seed, options.steps_per_run)) steps.push_back(std::move(step));
  }
  for (const std::string& trace : options.traces)
    steps = interleave(std::move(steps), trace_steps(trace, shape, &router, {.count = options.steps_per_trace}));
  return steps;
}

/// "bimodal-b8 seed 20260623" -> "bimodal-b8": the seeds of a run are one workload.
std::string workload_of(const std::string& name) { return name.substr(0, name.find(" seed ")); }

std::vector<WorkloadRegret> by_workload(const Router& router, const std::vector<fit::StepSample>& samples,
                                        const fit::RegretOptions& options) {
  struct Part {
    std::string workload;
    int group_size;
    std::vector<fit::StepSample> samples;
  };
  std::vector<Part> parts;
  for (const fit::StepSample& sample : samples) {
    const std::string workload = workload_of(sample.workload);
    const int group = sample.shape.group_size();
    auto part = std::find_if(parts.begin(), parts.end(),
                             [&](const Part& p) { return p.workload == workload && p.group_size == group; });
    if (part == parts.end()) part = parts.insert(part, {workload, group, {}});
    part->samples.push_back(sample);
  }
  std::vector<WorkloadRegret> regrets;
  regrets.reserve(parts.size());
  for (const Part& part : parts)
    regrets.push_back({part.workload, part.group_size, fit::regret_of(router, part.samples, options)});
  return regrets;
}

}  // namespace

RegretRun measure_regret(StepTimer& timer, const DeviceProfile& profile, const RegretRunOptions& options,
                         const Progress& progress) {
  check(timer, profile, options);
  const Stopwatch watch;
  const Router router(profile);
  const std::vector<Choice> choices = choices_of(profile);
  const std::vector<int> group_sizes = group_sizes_of(profile, options);
  std::vector<fit::StepSample> samples;
  double done = 0;
  for (const int group : group_sizes) {
    TimedShape shape;
    shape.shape = {.num_q_heads = options.num_q_heads / group * group,
                   .num_kv_heads = options.num_q_heads / group,
                   .head_dim = options.head_dim};
    shape.shape.validate();
    shape.dtype = options.dtype;
    shape.page_size = options.page_size;
    const auto left = static_cast<double>(group_sizes.size()) - done;
    time_steps(timer,
               {shape, steps_of(shape, router, options), choices, options.rounds,
                (options.seconds - watch.seconds()) / left, 1},
               samples, [&](double part) {
                 if (progress) progress((done + part) / static_cast<double>(group_sizes.size()));
               });
    done += 1;
  }
  RegretRun run = judge(std::move(samples), profile, options.layers_per_plan);
  run.seconds = watch.seconds();
  return run;
}

RegretRun judge(std::vector<fit::StepSample> samples, const DeviceProfile& profile, int layers_per_plan) {
  const Router router(profile);
  const fit::RegretOptions how{layers_per_plan};
  RegretRun run;
  run.samples = std::move(samples);
  run.all = fit::regret_of(router, run.samples, how);
  run.workloads = by_workload(router, run.samples, how);
  return run;
}

}  // namespace pkv::calibrate
