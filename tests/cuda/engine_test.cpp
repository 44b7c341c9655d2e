#include "cuda/engine_test.hpp"

#include <algorithm>
#include <cstdio>
#include <stdexcept>

namespace pkv::testing {

void check(cudaError_t status) {
  if (status != cudaSuccess) throw std::runtime_error(cudaGetErrorString(status));
}

DeviceBytes::DeviceBytes(std::size_t size_bytes, std::size_t guard_bytes)
    : size_bytes_(size_bytes), guard_bytes_(guard_bytes) {
  void* base = nullptr;
  check(cudaMalloc(&base, std::max<std::size_t>(size_bytes + 2 * guard_bytes, 1)));
  base_ = static_cast<std::byte*>(base);
  poison();
}

// Streams of the tests do not wait for the default one, nor it for them.

void DeviceBytes::upload(const void* from) {
  check(cudaDeviceSynchronize());
  check(cudaMemcpy(data(), from, size_bytes_, cudaMemcpyHostToDevice));
  check(cudaDeviceSynchronize());
}

void DeviceBytes::download(void* to) const {
  check(cudaDeviceSynchronize());
  check(cudaMemcpy(to, data(), size_bytes_, cudaMemcpyDeviceToHost));
}

void DeviceBytes::poison(cudaStream_t stream) {
  check(cudaMemsetAsync(base_, 0xff, size_bytes_ + 2 * guard_bytes_, stream));
  if (stream == nullptr) check(cudaDeviceSynchronize());
}

bool DeviceBytes::guards_intact() const {
  std::vector<unsigned char> guards(2 * guard_bytes_);
  check(cudaDeviceSynchronize());
  check(cudaMemcpy(guards.data(), base_, guard_bytes_, cudaMemcpyDeviceToHost));
  check(cudaMemcpy(guards.data() + guard_bytes_, data() + size_bytes_, guard_bytes_, cudaMemcpyDeviceToHost));
  return std::all_of(guards.begin(), guards.end(), [](unsigned char byte) { return byte == 0xff; });
}

void EngineTest::SetUp() {
  if (cuda_device_count() == 0) GTEST_SKIP() << "no CUDA device on this machine";
  backend_ = make_cuda_backend();
}

void EngineTest::TearDown() {
  if (HasFailure())
    std::printf("to see it again: PKV_TEST_SEED=%llu\n", static_cast<unsigned long long>(conformance::test_seed()));
}

std::unique_ptr<CudaPreparedStep> EngineTest::prepare(const Step& step, const CudaWorkspace& workspace) {
  return backend_->prepare(step, Schedule::kStream, stream_options(), workspace);
}

}  // namespace pkv::testing
