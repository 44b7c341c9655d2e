#pragma once

#include "memory.hpp"
#include "persistentkv/core/index_view.hpp"

#include <algorithm>
#include <cstdint>

namespace pkv::cuda {

/// Bytes that stay where they are until more are needed, as a serving engine's arrays do.
class GrowingArray {
 public:
  /// What was there is lost where it grows.
  void reserve(std::int64_t bytes) {
    if (bytes <= size_bytes_) return;
    memory_ = {};
    size_bytes_ = std::max(bytes, 2 * size_bytes_);
    memory_ = DeviceArray<unsigned char>(size_bytes_);
  }
  void upload(const void* from, std::int64_t bytes) {
    reserve(bytes);
    copy_to_device(memory_.get(), from, static_cast<std::size_t>(bytes));
  }
  /// A copy of what `host` describes; an absent array stays absent.
  [[nodiscard]] IndexView upload(const IndexView& host) {
    if (!host) return host;
    upload(host.data, host.size * (host.type == IndexType::kI64 ? 8 : 4));
    IndexView view = host;
    view.data = memory_.get();
    view.space = MemorySpace::kDevice;
    return view;
  }
  template <class T>
  [[nodiscard]] T* as() const noexcept {
    return reinterpret_cast<T*>(memory_.get());
  }

 private:
  DeviceArray<unsigned char> memory_;
  std::int64_t size_bytes_ = 0;
};

}  // namespace pkv::cuda
