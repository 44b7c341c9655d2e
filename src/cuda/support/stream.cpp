#include "stream.hpp"

#include "check.hpp"

namespace pkv::cuda {

Stream::Stream() { check(cudaStreamCreateWithFlags(&handle_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags"); }

Stream::~Stream() { (void)cudaStreamDestroy(handle_); }

void Stream::wait(const char* what) const { check(cudaStreamSynchronize(handle_), what); }

Event::Event() { check(cudaEventCreateWithFlags(&handle_, cudaEventDisableTiming), "cudaEventCreateWithFlags"); }

Event::~Event() {
  if (handle_ != nullptr) (void)cudaEventDestroy(handle_);
}

void Event::record(cudaStream_t stream) const { check(cudaEventRecord(handle_, stream), "cudaEventRecord"); }

void Event::hold_back(cudaStream_t stream) const {
  check(cudaStreamWaitEvent(stream, handle_, 0), "cudaStreamWaitEvent");
}

void Event::wait(const char* what) const {
  cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
  check(cudaThreadExchangeStreamCaptureMode(&mode), "cudaThreadExchangeStreamCaptureMode");
  const cudaError_t status = cudaEventSynchronize(handle_);
  check(cudaThreadExchangeStreamCaptureMode(&mode), "cudaThreadExchangeStreamCaptureMode");
  check(status, what);
}

bool is_capturing(cudaStream_t stream) {
  if (stream == nullptr) return false;  // the legacy stream never is
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  check(cudaStreamIsCapturing(stream, &status), "cudaStreamIsCapturing");
  return status != cudaStreamCaptureStatusNone;
}

EventTimer::EventTimer() {
  check(cudaEventCreate(&begin_), "cudaEventCreate");
  try {
    check(cudaEventCreate(&end_), "cudaEventCreate");
  } catch (...) {
    (void)cudaEventDestroy(begin_);
    throw;
  }
}

EventTimer::~EventTimer() {
  (void)cudaEventDestroy(begin_);
  (void)cudaEventDestroy(end_);
}

void EventTimer::begin(cudaStream_t stream) { check(cudaEventRecord(begin_, stream), "cudaEventRecord"); }

double EventTimer::end_us(cudaStream_t stream, const char* what) {
  check(cudaEventRecord(end_, stream), "cudaEventRecord");
  check(cudaEventSynchronize(end_), what);
  float ms = 0.0f;
  check(cudaEventElapsedTime(&ms, begin_, end_), "cudaEventElapsedTime");
  return ms * 1e3;
}

}  // namespace pkv::cuda
