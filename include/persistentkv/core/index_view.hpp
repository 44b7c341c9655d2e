#pragma once

/// Arrays of indices as serving engines hold them: int32 or int64, on the host or on a device.

#include <cstdint>

namespace pkv {

enum class IndexType : std::uint8_t { kI32, kI64 };
enum class MemorySpace : std::uint8_t { kHost, kDevice };

/// A borrowed array of integers. `data` null means absent.
struct IndexView {
  const void* data = nullptr;  // [size]
  std::int64_t size = 0;
  IndexType type = IndexType::kI32;
  MemorySpace space = MemorySpace::kHost;

  [[nodiscard]] static IndexView host(const std::int32_t* data, std::int64_t size) noexcept {
    return {data, size, IndexType::kI32, MemorySpace::kHost};
  }
  [[nodiscard]] static IndexView host(const std::int64_t* data, std::int64_t size) noexcept {
    return {data, size, IndexType::kI64, MemorySpace::kHost};
  }

  /// Element `i`, widened. Host memory only; `i` must lie in [0, size).
  [[nodiscard]] std::int64_t at(std::int64_t i) const noexcept {
    return type == IndexType::kI32 ? static_cast<const std::int32_t*>(data)[i]
                                   : static_cast<const std::int64_t*>(data)[i];
  }
  explicit operator bool() const noexcept { return data != nullptr; }
};

}  // namespace pkv
