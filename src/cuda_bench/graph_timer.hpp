#pragma once

#include "cuda_support/stream.hpp"

#include <cuda_runtime_api.h>

#include <functional>
#include <vector>

namespace pkv::cuda_bench {

/// Work captured once and replayed, timed by events. Owns the graph.
class TimedGraph {
 public:
  /// Runs `enqueue` once for what it sets up lazily, then captures it.
  TimedGraph(cudaStream_t stream, const std::function<void()>& enqueue);
  ~TimedGraph();
  TimedGraph(const TimedGraph&) = delete;
  TimedGraph& operator=(const TimedGraph&) = delete;

  void replay();
  /// Microseconds of one replay. To compare graphs, let them take turns: clocks drift.
  [[nodiscard]] double replay_us();
  /// Microseconds of each of `rounds` replays, sorted; one more goes ahead of them.
  [[nodiscard]] std::vector<double> time_us(int rounds);

 private:
  cudaStream_t stream_;
  cudaGraphExec_t executable_ = nullptr;
  cuda::EventTimer timer_;
};

/// Microseconds of `enqueue` put into the stream as it is, sorted.
[[nodiscard]] std::vector<double> time_eager_us(cudaStream_t stream, int rounds, const std::function<void()>& enqueue);

}  // namespace pkv::cuda_bench
