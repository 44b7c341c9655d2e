#include "graph_timer.hpp"

#include "cuda_check.hpp"

#include <algorithm>

namespace pkv::cuda_bench {

namespace {

struct EventPair {
  cudaEvent_t begin = nullptr;
  cudaEvent_t end = nullptr;
  EventPair() {
    check(cudaEventCreate(&begin), "cudaEventCreate");
    check(cudaEventCreate(&end), "cudaEventCreate");
  }
  ~EventPair() {
    (void)cudaEventDestroy(begin);
    (void)cudaEventDestroy(end);
  }
  EventPair(const EventPair&) = delete;
  EventPair& operator=(const EventPair&) = delete;
};

}  // namespace

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

std::vector<double> TimedGraph::time_us(int rounds) {
  replay();
  return time_eager_us(stream_, rounds, [&] { replay(); });
}

std::vector<double> time_eager_us(cudaStream_t stream, int rounds, const std::function<void()>& enqueue) {
  const EventPair events;
  std::vector<double> times;
  check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  for (int round = 0; round < rounds; ++round) {
    check(cudaEventRecord(events.begin, stream), "cudaEventRecord");
    enqueue();
    check(cudaEventRecord(events.end, stream), "cudaEventRecord");
    check(cudaEventSynchronize(events.end), "cudaEventSynchronize");
    float ms = 0.0f;
    check(cudaEventElapsedTime(&ms, events.begin, events.end), "cudaEventElapsedTime");
    times.push_back(ms * 1e3);
  }
  std::sort(times.begin(), times.end());
  return times;
}

}  // namespace pkv::cuda_bench
