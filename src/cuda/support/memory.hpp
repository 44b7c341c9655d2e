#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace pkv::cuda {

/// The next multiple of 256, where allocations of the runtime begin too: for parts of one.
[[nodiscard]] constexpr std::size_t aligned(std::size_t bytes) noexcept { return (bytes + 255) / 256 * 256; }

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

struct FreePinned {
  void operator()(void* data) const noexcept;
};

/// Host memory that copies to a device read directly.
class PinnedBuffer {
 public:
  PinnedBuffer() = default;
  /// Throws CudaError.
  explicit PinnedBuffer(std::size_t size_bytes);

  [[nodiscard]] unsigned char* data() const noexcept { return static_cast<unsigned char*>(data_.get()); }
  [[nodiscard]] std::size_t size_bytes() const noexcept { return size_bytes_; }

 private:
  std::unique_ptr<void, FreePinned> data_;
  std::size_t size_bytes_ = 0;
};

/// Copies, and waits for it. Throws CudaError.
void copy_to_device(void* to, const void* from, std::size_t size_bytes);

/// Device memory of `count` elements.
template <class T>
class DeviceArray {
 public:
  DeviceArray() = default;
  explicit DeviceArray(std::int64_t count)
      : buffer_(count > 0 ? static_cast<std::size_t>(count) * sizeof(T) : std::size_t{0}) {}
  /// A copy of a contiguous container in host memory.
  template <class Container>
  [[nodiscard]] static DeviceArray of(const Container& values) {
    DeviceArray array(static_cast<std::int64_t>(values.size()));
    copy_to_device(array.get(), values.data(), values.size() * sizeof(T));
    return array;
  }
  [[nodiscard]] T* get() const noexcept { return buffer_.as<T>(); }

 private:
  DeviceBuffer buffer_;
};

}  // namespace pkv::cuda
