#include "graph_timer.hpp"

#include "cuda_support/check.hpp"

#include <algorithm>

namespace pkv::cuda_bench {

using cuda::check;

TimedGraph::TimedGraph(cudaStream_t stream, const std::function<void()>& enqueue) : stream_(stream) {
  enqueue();
  check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  cudaGraph_t graph = nullptr;
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  try {
    enqueue();
  } catch (...) {
    (void)cudaStreamEndCapture(stream, &graph);
    throw;
  }
  check(cudaStreamEndCapture(stream, &graph), "cudaStreamEndCapture");
  const cudaError_t status = cudaGraphInstantiate(&executable_, graph, 0);
  (void)cudaGraphDestroy(graph);
  check(status, "cudaGraphInstantiate");
}

TimedGraph::~TimedGraph() { (void)cudaGraphExecDestroy(executable_); }

void TimedGraph::replay() { check(cudaGraphLaunch(executable_, stream_), "cudaGraphLaunch"); }

double TimedGraph::replay_us() {
  timer_.begin(stream_);
  replay();
  return timer_.end_us(stream_, "replaying a graph");
}

std::vector<double> TimedGraph::time_us(int rounds) {
  replay();
  return time_eager_us(stream_, rounds, [&] { replay(); });
}

std::vector<double> time_eager_us(cudaStream_t stream, int rounds, const std::function<void()>& enqueue) {
  cuda::EventTimer timer;
  std::vector<double> times;
  times.reserve(static_cast<std::size_t>(rounds));
  check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  for (int round = 0; round < rounds; ++round) {
    timer.begin(stream);
    enqueue();
    times.push_back(timer.end_us(stream, "a timed step"));
  }
  std::sort(times.begin(), times.end());
  return times;
}

}  // namespace pkv::cuda_bench
