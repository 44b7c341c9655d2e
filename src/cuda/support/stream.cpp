#include "stream.hpp"

#include "check.hpp"

namespace pkv::cuda {

Stream::Stream() { check(cudaStreamCreateWithFlags(&handle_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags"); }

Stream::~Stream() { (void)cudaStreamDestroy(handle_); }

void Stream::wait(const char* what) const { check(cudaStreamSynchronize(handle_), what); }

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
