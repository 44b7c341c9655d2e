#include "persistentkv/measure/cpu_bench.hpp"

#include "persistentkv/core/error.hpp"
#include "persistentkv/cpu/cpu_backend.hpp"
#include "persistentkv/measure/huge_buffer.hpp"
#include "persistentkv/measure/kv_readers.hpp"
#include "rotating_steps.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>

namespace pkv {

namespace {

using Clock = std::chrono::steady_clock;

/// Seconds that `call` takes.
template <class Call>
double time_of(const Call& call) {
  const Clock::time_point start = Clock::now();
  call();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

double CpuBenchResult::best_reader_gbps() const noexcept {
  return std::max({pages_gbps, contiguous_gbps, non_temporal_gbps});
}

CpuBenchResult run_cpu_bench(const CpuBenchConfig& config) {
  if (config.rounds < 1 || config.rounds > 100000)
    throw InvalidArgument(fmt::format("rounds is {}, must be in [1, 100000]", config.rounds));
  const std::unique_ptr<Backend> backend =
      make_cpu_backend({.num_threads = config.num_threads, .simd_target = config.simd_target});
  KvReaders readers(config.num_threads);
  detail::RotatingSteps steps(config);

  std::vector<double> plan_s, decode_s, pages_gbps, contiguous_gbps, non_temporal_gbps;
  const auto gbps_of = [](const auto& read) {
    std::int64_t bytes = 0;
    const double seconds = time_of([&] { bytes = read(); });
    return static_cast<double>(bytes) / seconds / 1e9;
  };
  for (int round = 0; round <= config.rounds; ++round) {
    std::unique_ptr<PreparedStep> prepared;
    const Step& step = steps.next();
    const double plan = time_of([&] { prepared = backend->prepare(step, config.schedule, config.plan_options); });
    const double decode = time_of([&] { prepared->run(steps.layer()); });
    const double pages = gbps_of([&] { return readers.read_pages(steps.next(), steps.layer().kv); });
    const double contiguous = gbps_of([&] { return readers.read_contiguous(steps.next_stretch()); });
    const double non_temporal = gbps_of([&] { return readers.read_non_temporal(steps.next_stretch()); });
    if (round == 0) continue;  // the threads wake up, page tables are walked for the first time
    plan_s.push_back(plan);
    decode_s.push_back(decode);
    pages_gbps.push_back(pages);
    contiguous_gbps.push_back(contiguous);
    non_temporal_gbps.push_back(non_temporal);
  }

  CpuBenchResult result;
  result.simd_target = config.simd_target.empty() ? cpu_simd_target() : config.simd_target;
  result.num_threads = readers.num_threads();
  result.num_steps = steps.count();
  result.pool_bytes = steps.pool_bytes();
  result.kv_bytes = steps.next().useful_kv_bytes();
  result.time_us = median(decode_s) * 1e6;
  result.plan_us = median(plan_s) * 1e6;
  result.decode_gbps = static_cast<double>(result.kv_bytes) / median(decode_s) / 1e9;
  result.pages_gbps = median(pages_gbps);
  result.contiguous_gbps = median(contiguous_gbps);
  result.non_temporal_gbps = median(non_temporal_gbps);
  result.non_temporal_method = readers.non_temporal_method();
  return result;
}

}  // namespace pkv
