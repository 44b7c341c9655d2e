#include "memory.hpp"

#include "check.hpp"

namespace pkv::cuda {

void FreeDevice::operator()(void* data) const noexcept { (void)cudaFree(data); }

DeviceBuffer::DeviceBuffer(std::size_t size_bytes) : size_bytes_(size_bytes) {
  void* data = nullptr;
  if (size_bytes > 0) check(cudaMalloc(&data, size_bytes), "cudaMalloc");
  data_.reset(data);
}

void FreePinned::operator()(void* data) const noexcept { (void)cudaFreeHost(data); }

PinnedBuffer::PinnedBuffer(std::size_t size_bytes) : size_bytes_(size_bytes) {
  void* data = nullptr;
  if (size_bytes > 0) check(cudaMallocHost(&data, size_bytes), "cudaMallocHost");
  data_.reset(data);
}

void copy_to_device(void* to, const void* from, std::size_t size_bytes) {
  if (size_bytes > 0) check(cudaMemcpy(to, from, size_bytes, cudaMemcpyHostToDevice), "cudaMemcpy");
}

}  // namespace pkv::cuda
