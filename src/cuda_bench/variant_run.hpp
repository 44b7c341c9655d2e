#pragma once

// One variant over the steps in rotation: prepared once, replayed as a graph or put into a stream as it is.

#include "cuda_bench.hpp"
#include "graph_timer.hpp"
#include "rotating_pool.hpp"

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace pkv::cuda_bench {

using RotatingSteps = std::vector<std::unique_ptr<DeviceStep>>;

/// What every variant of a workload reads and writes.
struct VariantTensors {
  const KvCacheView& kv;
  const void* q;
  unsigned char* outs;     // [nodes][out_bytes]: each node has its own, so that overlapping runs are checked too
  std::int64_t out_bytes;  // of one step
};

/// Borrows everything but the variant's own workspace.
class VariantRun {
 public:
  /// Prepares all steps and captures `nodes` runs of them in turn. Throws what the backend throws.
  VariantRun(Backend& backend, const Variant& variant, const RotatingSteps& steps, const VariantTensors& tensors,
             int nodes, cudaStream_t stream);

  /// Microseconds that preparing a step took the host, memory aside: the least of all steps.
  [[nodiscard]] double plan_us() const noexcept { return plan_us_; }
  [[nodiscard]] TimedGraph& graph() noexcept { return *graph_; }
  void run_node(int node);
  void run_all();

 private:
  [[nodiscard]] std::unique_ptr<PreparedStep> prepare(const DeviceStep& step);

  Backend& backend_;
  Variant variant_;
  const RotatingSteps& steps_;
  VariantTensors tensors_;
  int nodes_;
  cudaStream_t stream_;
  double plan_us_ = 0.0;
  cuda::DeviceArray<unsigned char> workspace_;  // of our own engine's `stream`: zero, for all steps in turn
  std::size_t workspace_bytes_ = 0;
  std::vector<std::unique_ptr<PreparedStep>> prepared_;
  std::optional<TimedGraph> graph_;
};

}  // namespace pkv::cuda_bench
