#include "cuda_support/check.hpp"
#include "persistentkv/cuda/cuda_backend.hpp"

namespace pkv {

int cuda_device_count() noexcept {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  (void)cudaGetLastError();
  return 0;
}

CudaDeviceInfo cuda_device_info(int device) {
  using cuda::check;
  if (device < 0) check(cudaGetDevice(&device), "cudaGetDevice");
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
  CudaDeviceInfo info;
  info.ordinal = device;
  info.name = properties.name;
  info.compute_capability = 10 * properties.major + properties.minor;
  info.num_sms = properties.multiProcessorCount;
  info.shared_bytes_per_cta = static_cast<std::int64_t>(properties.sharedMemPerBlockOptin);
  info.l2_bytes = properties.l2CacheSize;
  info.memory_bytes = static_cast<std::int64_t>(properties.totalGlobalMem);
  check(cudaDriverGetVersion(&info.driver_version), "cudaDriverGetVersion");
  check(cudaRuntimeGetVersion(&info.runtime_version), "cudaRuntimeGetVersion");
  return info;
}

}  // namespace pkv
