#pragma once

#include <cuda_runtime_api.h>

namespace pkv::cuda {

/// A stream of its own, which does not wait for the default one.
class Stream {
 public:
  /// On the current device. Throws CudaError.
  Stream();
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  [[nodiscard]] cudaStream_t handle() const noexcept { return handle_; }
  /// Waits for what is in it. Throws CudaError: `what` ran.
  void wait(const char* what) const;

 private:
  cudaStream_t handle_ = nullptr;
};

/// The time between two places in a stream.
class EventTimer {
 public:
  EventTimer();
  ~EventTimer();
  EventTimer(const EventTimer&) = delete;
  EventTimer& operator=(const EventTimer&) = delete;

  void begin(cudaStream_t stream);
  /// Waits for what was put into the stream, and returns the microseconds that it took since begin(). Throws CudaError:
  /// `what` ran.
  [[nodiscard]] double end_us(cudaStream_t stream, const char* what);

 private:
  cudaEvent_t begin_ = nullptr;
  cudaEvent_t end_ = nullptr;
};

}  // namespace pkv::cuda
