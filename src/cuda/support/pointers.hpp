#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace pkv::cuda {

/// Every tensor's data and strides are a multiple of it.
inline constexpr std::int64_t kTensorAlignmentBytes = 16;

/// Pointers that were found to be memory of a device: asking the driver anew for each layer would cost more than its
/// launch.
class DevicePointers {
 public:
  explicit DevicePointers(int device) : device_(device) {}

  /// Throws InvalidArgument unless `pointer` is memory of the device. Pointers that were right stay so.
  void require(const char* name, const void* pointer);
  /// And, called NAME.data, aligned.
  void require_tensor(const char* name, const void* data);

 private:
  int device_;
  std::array<std::atomic<const void*>, 1024> known_{};
};

/// Throws InvalidArgument where NAME.MEMBER is not a multiple of the alignment.
void require_aligned(const char* name, const char* member, std::int64_t bytes);

}  // namespace pkv::cuda
