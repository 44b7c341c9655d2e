#pragma once

// Decode on the GPU against the fastest readers of the same pages.

#include "persistentkv/core/attention_shape.hpp"
#include "persistentkv/core/dtype.hpp"
#include "persistentkv/cuda/cuda_backend.hpp"
#include "persistentkv/plan/route.hpp"
#include "persistentkv/plan/schedule.hpp"
#include "reader_times.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace pkv::cuda_bench {

/// A way to run a step.
struct Variant {
  Route route = Route::kStream;
  PlanOptions options;
  bool pdl = false;  ///< chained to the step before by programmatic dependent launch
};

struct CudaBenchConfig {
  AttentionShape shape{.num_q_heads = 32, .num_kv_heads = 8, .head_dim = 128, .softmax_scale = 0.0};
  DType dtype = DType::kF16;
  int page_size = 16;
  std::vector<Variant> variants;
  int rounds = 7;                                ///< replays timed, of which the median counts; variants take turns
  std::int64_t rotate_bytes = 600ll << 20;       ///< of KV, between two uses of a page
  std::int64_t longest_graph_bytes = 8ll << 30;  ///< of KV that one graph reads, at about
  /// Runs of a graph, and page tables in rotation, at most. With fewer than rotate_bytes needs, L2 is not cold.
  int max_nodes = 160;
  bool check_outputs = true;  ///< relative_error is 0 without
  bool time_eager = true;     ///< eager_us and launch_us are 0 without
  bool time_readers = true;   ///< times of readers, and with them the limit, are 0 without
  std::uint32_t seed = 1;
  CudaBackendConfig backend;  ///< of our own engine, which runs every schedule
  /// Who runs the other routes, on the same device: the first that has one. They outlive the bench.
  std::vector<std::shared_ptr<Backend>> more_backends;
};

struct VariantTime {
  double graph_us = 0.0;  ///< a step in graph replay, its planning on the GPU included; median
  double graph_min_us = 0.0;
  double graph_max_us = 0.0;
  std::vector<double> samples_us;  ///< a step in each of the replays, in the order of time
  double eager_us = 0.0;           ///< a step of prepared ones put into a stream one by one; median
  double plan_us = 0.0;            ///< host time to prepare a step, once a step
  double launch_us = 0.0;          ///< host time to run one layer
  double relative_error = 0.0;     ///< L2, of outputs of the timed graph, against one pass in FP32
};

struct WorkloadTime : ReaderTimes {
  std::int64_t kv_bytes = 0;    ///< tokens only
  std::int64_t page_bytes = 0;  ///< every page touched, whole
  int num_steps = 0;            ///< page tables in rotation
  std::vector<VariantTime> variants;
};

/// All workloads of one shape, over one pool of pages.
class CudaBench {
 public:
  /// Throws InvalidArgument where not even the smallest workload fits in the GPU's memory.
  CudaBench(const CudaBenchConfig& config, const std::vector<std::vector<std::int32_t>>& workloads);
  ~CudaBench();
  CudaBench(const CudaBench&) = delete;
  CudaBench& operator=(const CudaBench&) = delete;

  [[nodiscard]] const CudaDeviceInfo& device() const noexcept;
  /// Empty if somebody runs the route for this shape and dtype, else each backend's reason.
  [[nodiscard]] std::string why_not(Route route) const;
  /// Whether the rows' pages fit in the pool, which is as large as the GPU's memory lets it be.
  [[nodiscard]] bool fits(const std::vector<std::int32_t>& lengths) const;
  /// Throws Unsupported for variants that nobody runs.
  [[nodiscard]] WorkloadTime run(const std::vector<std::int32_t>& lengths);
  /// The same with these variants in place of the configuration's.
  [[nodiscard]] WorkloadTime run(const std::vector<std::int32_t>& lengths, const std::vector<Variant>& variants);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace pkv::cuda_bench
