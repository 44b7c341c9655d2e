#pragma once

/// Memory for a KV pool: zeroed, page aligned, and in huge pages where the system grants them, so that random pages of
/// a pool of gigabytes do not each cost a walk of the page tables.

#include <cstddef>
#include <cstdint>

namespace pkv {

class HugeBuffer {
 public:
  HugeBuffer() = default;
  /// Throws std::bad_alloc, or InvalidArgument for a negative size.
  explicit HugeBuffer(std::int64_t size_bytes);
  HugeBuffer(HugeBuffer&& other) noexcept;
  HugeBuffer& operator=(HugeBuffer&& other) noexcept;
  ~HugeBuffer();

  [[nodiscard]] std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::int64_t size_bytes() const noexcept { return size_bytes_; }

 private:
  std::byte* data_ = nullptr;
  std::int64_t size_bytes_ = 0;
};

}  // namespace pkv
