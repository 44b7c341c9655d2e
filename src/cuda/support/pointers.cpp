#include "pointers.hpp"

#include "check.hpp"
#include "persistentkv/core/error.hpp"

#include <cuda_runtime_api.h>
#include <fmt/format.h>

namespace pkv::cuda {

void DevicePointers::require(const char* name, const void* pointer) {
  auto& known = known_[(reinterpret_cast<std::uintptr_t>(pointer) >> 8) * 0x9e3779b97f4a7c15u >> 54];
  if (known.load(std::memory_order_relaxed) == pointer) return;
  cudaPointerAttributes attributes;
  check(cudaPointerGetAttributes(&attributes, pointer), "cudaPointerGetAttributes");
  if (attributes.type != cudaMemoryTypeDevice && attributes.type != cudaMemoryTypeManaged)
    throw InvalidArgument(fmt::format("{} is {}, must be device memory", name, pointer));
  if (attributes.type == cudaMemoryTypeDevice && attributes.device != device_) {
    throw InvalidArgument(
        fmt::format("{} is on device {}, must be on the backend's, {}", name, attributes.device, device_));
  }
  known.store(pointer, std::memory_order_relaxed);
}

void DevicePointers::require_tensor(const char* name, const void* data) {
  require(name, data);
  if (reinterpret_cast<std::uintptr_t>(data) % kTensorAlignmentBytes != 0)
    throw InvalidArgument(fmt::format("{}.data is {}, must be aligned to {} bytes", name, data, kTensorAlignmentBytes));
}

void require_aligned(const char* name, const char* member, std::int64_t bytes) {
  if (bytes % kTensorAlignmentBytes != 0) {
    throw InvalidArgument(
        fmt::format("{}.{} is {} bytes, must be a multiple of {} bytes", name, member, bytes, kTensorAlignmentBytes));
  }
}

}  // namespace pkv::cuda
