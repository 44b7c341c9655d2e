#pragma once

/// Decode on the CPU against the fastest readers of the same memory, in one run.

#include "persistentkv/core/attention_shape.hpp"
#include "persistentkv/core/dtype.hpp"
#include "persistentkv/core/kv_cache_view.hpp"
#include "persistentkv/plan/schedule.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace pkv {

struct CpuBenchConfig {
  AttentionShape shape{.num_q_heads = 32, .num_kv_heads = 8, .head_dim = 128, .softmax_scale = 0.0};
  DType dtype = DType::kF16;
  KvLayout layout = KvLayout::kHND;
  int page_size = 16;
  std::vector<std::int32_t> lengths{16384, 8192, 8192, 4096, 4096, 2048, 2048, 1024};
  Schedule schedule = Schedule::kStream;
  PlanOptions plan_options;
  int num_threads = 0;                                  ///< as in CpuBackendConfig; the readers get the same
  std::string simd_target;                              ///< as in CpuBackendConfig; the readers always use the best
  int rounds = 21;                                      ///< decode and every reader once a round; medians are reported
  std::int64_t min_pool_bytes = std::int64_t{2} << 30;  ///< K and V together
  std::uint64_t seed = 1;                               ///< of the order of pages and the values in them
};

/// GB/s are 10^9 bytes a second.
struct CpuBenchResult {
  std::string simd_target;
  int num_threads = 0;
  int num_steps = 0;            ///< page tables that take turns, each with pages of its own
  std::int64_t pool_bytes = 0;  ///< K and V
  std::int64_t kv_bytes = 0;    ///< useful: what decode reads of one step
  double time_us = 0.0;         ///< of one decode, median
  double plan_us = 0.0;         ///< of planning one step, median; not part of time_us
  double decode_gbps = 0.0;
  double pages_gbps = 0.0;
  double contiguous_gbps = 0.0;
  double non_temporal_gbps = 0.0;
  std::string non_temporal_method;

  [[nodiscard]] double best_reader_gbps() const noexcept;
  /// decode_gbps over the best reader's.
  [[nodiscard]] double ratio() const noexcept { return decode_gbps / best_reader_gbps(); }
  /// What the step's KV bytes take at the best reader's speed.
  [[nodiscard]] double limit_us() const noexcept { return static_cast<double>(kv_bytes) / best_reader_gbps() / 1e3; }
};

/// Allocates a pool of at least min_pool_bytes, cuts its pages in random order into as many steps of the given lengths
/// as fit, and lets decode and the readers take turns on them, so that nothing is read again before the whole pool has
/// gone by. Throws InvalidArgument, Unsupported or std::bad_alloc.
[[nodiscard]] CpuBenchResult run_cpu_bench(const CpuBenchConfig& config);

}  // namespace pkv
