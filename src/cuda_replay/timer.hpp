#pragma once

#include "cuda_bench/cuda_check.hpp"

namespace pkv::cuda_replay {

/// A stream of its own, and the time between two places in it.
class Timer {
 public:
  Timer() {
    using cuda_bench::check;
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    check(cudaEventCreate(&begin_), "cudaEventCreate");
    check(cudaEventCreate(&end_), "cudaEventCreate");
  }
  ~Timer() {
    (void)cudaEventDestroy(begin_);
    (void)cudaEventDestroy(end_);
    (void)cudaStreamDestroy(stream_);
  }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  [[nodiscard]] cudaStream_t stream() const noexcept { return stream_; }

  void begin() { cuda_bench::check(cudaEventRecord(begin_, stream_), "cudaEventRecord"); }
  /// Waits for what was put into the stream, and returns the microseconds that it took since begin().
  [[nodiscard]] double end_us() {
    using cuda_bench::check;
    check(cudaEventRecord(end_, stream_), "cudaEventRecord");
    check(cudaEventSynchronize(end_), "a replayed step");
    float ms = 0.0f;
    check(cudaEventElapsedTime(&ms, begin_, end_), "cudaEventElapsedTime");
    return ms * 1e3;
  }

 private:
  cudaStream_t stream_ = nullptr;
  cudaEvent_t begin_ = nullptr;
  cudaEvent_t end_ = nullptr;
};

}  // namespace pkv::cuda_replay
