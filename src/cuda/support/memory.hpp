#pragma once

#include <cstddef>
#include <memory>

namespace pkv::cuda {

struct FreeDevice {
  void operator()(void* data) const noexcept;
};

/// Memory of the current device. Empty or not, never null-checked by users: data() of an empty one is null.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  /// Throws CudaError.
  explicit DeviceBuffer(std::size_t size_bytes);

  [[nodiscard]] void* data() const noexcept { return data_.get(); }
  [[nodiscard]] std::size_t size_bytes() const noexcept { return size_bytes_; }
  template <class T>
  [[nodiscard]] T* as() const noexcept {
    return static_cast<T*>(data_.get());
  }

 private:
  std::unique_ptr<void, FreeDevice> data_;
  std::size_t size_bytes_ = 0;
};

}  // namespace pkv::cuda
