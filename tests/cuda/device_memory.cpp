#include "cuda/device_memory.hpp"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <stdexcept>

namespace pkv::testing {

namespace {

void check(cudaError_t status) {
  if (status != cudaSuccess) throw std::runtime_error(cudaGetErrorString(status));
}

}  // namespace

void* DeviceMemory::allocate(std::size_t bytes) {
  void* data = nullptr;
  check(cudaMalloc(&data, std::max<std::size_t>(bytes, 1)));
  return data;
}

void DeviceMemory::release(void* data) noexcept { (void)cudaFree(data); }

void DeviceMemory::upload(void* to, const void* from_host, std::size_t bytes) {
  check(cudaMemcpy(to, from_host, bytes, cudaMemcpyHostToDevice));
  check(cudaDeviceSynchronize());
}

void DeviceMemory::download(void* to_host, const void* from, std::size_t bytes) {
  check(cudaDeviceSynchronize());
  check(cudaMemcpy(to_host, from, bytes, cudaMemcpyDeviceToHost));
}

}  // namespace pkv::testing
