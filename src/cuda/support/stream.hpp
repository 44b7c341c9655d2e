#pragma once

#include <cuda_runtime_api.h>

#include <utility>

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

/// A place in a stream, without its time.
class Event {
 public:
  /// On the current device. Throws CudaError.
  Event();
  ~Event();
  Event(Event&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Event& operator=(Event&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }

  void record(cudaStream_t stream) const;
  /// What `stream` is given from now on waits for it. Not for a stream that is being captured.
  void hold_back(cudaStream_t stream) const;
  /// Waits for it here, also while this thread captures a stream: what has been recorded outside of captures can be
  /// waited for.
  void wait(const char* what) const;

 private:
  cudaEvent_t handle_ = nullptr;
};

/// Whether what is put into it now becomes part of a graph.
[[nodiscard]] bool is_capturing(cudaStream_t stream);

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
