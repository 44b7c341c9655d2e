// What planning a step costs on the host, and that it grows linearly. `StreamCut` is what a step needs to be planned;
// a materialised plan lists every task and is validated as well.

#include "persistentkv/plan/planner.hpp"
#include "persistentkv/plan/stream_cut.hpp"

#include <benchmark/benchmark.h>

#include <random>
#include <vector>

namespace {

std::vector<std::int32_t> lengths_of(std::int64_t batch) {
  std::mt19937 rng(20260622);
  std::vector<std::int32_t> lengths(static_cast<std::size_t>(batch));
  for (std::int32_t& length : lengths) length = static_cast<std::int32_t>(rng() % 32768 + 1);
  return lengths;
}

void stream_cut(benchmark::State& state) {
  const std::vector<std::int32_t> lengths = lengths_of(state.range(0));
  pkv::StreamCut cut;
  for (auto _ : state) {
    cut.assign(8, lengths, {.num_workers = 132});
    benchmark::DoNotOptimize(cut.begin(66));
  }
  state.SetComplexityN(state.range(0));
}
BENCHMARK(stream_cut)->RangeMultiplier(8)->Range(8, 32768)->Arg(1024)->Complexity(benchmark::oN);

void materialized(benchmark::State& state, pkv::Schedule schedule) {
  const std::vector<std::int32_t> lengths = lengths_of(state.range(0));
  for (auto _ : state) {
    const pkv::WorkPlan plan = pkv::make_plan(schedule, {{32, 8, 128}, lengths, {}}, {.num_workers = 132});
    benchmark::DoNotOptimize(plan.counters());
  }
  state.SetComplexityN(state.range(0));
}
#define PKV_BENCHMARK_SCHEDULE(name)                         \
  BENCHMARK_CAPTURE(materialized, name, pkv::Schedule::name) \
      ->RangeMultiplier(8)                                   \
      ->Range(8, 4096)                                       \
      ->Complexity(benchmark::oN)
PKV_BENCHMARK_SCHEDULE(kExactBuckets);
PKV_BENCHMARK_SCHEDULE(kCoarseBuckets);
PKV_BENCHMARK_SCHEDULE(kPaddedBucket);
PKV_BENCHMARK_SCHEDULE(kSequenceSplit);
PKV_BENCHMARK_SCHEDULE(kWorkqueue);
PKV_BENCHMARK_SCHEDULE(kWorkqueueFused);
PKV_BENCHMARK_SCHEDULE(kStream);

}  // namespace
