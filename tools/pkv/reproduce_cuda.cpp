#include "cuda_device.hpp"
#include "cuda_reproduce/cuda_measure.hpp"
#include "persistentkv/cuda/cuda_backend.hpp"
#include "reproduce_platform.hpp"

#include <fmt/format.h>

#include <utility>

namespace pkv::cli {

std::string reproduce_device_name() {
  require_cuda_device("");
  return cuda_device_info().name;
}

ReproducePlatform make_reproduce_platform(std::int64_t kv_bytes, std::optional<DeviceProfile> profile) {
  require_cuda_device("");
  const CudaDeviceInfo gpu = cuda_device_info();
  return {.bench = cuda_reproduce::make_cuda_measure(
              {.kv_bytes = kv_bytes, .more_backends = make_more_cuda_engines(), .profile = std::move(profile)}),
          .device = fmt::format("{}, {} SMs", gpu.name, gpu.num_sms)};
}

}  // namespace pkv::cli
