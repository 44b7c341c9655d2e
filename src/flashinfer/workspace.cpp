#include "workspace.hpp"

#include "cuda_support/check.hpp"

#include <algorithm>
#include <bit>
#include <new>
#include <utility>

namespace pkv::fi {

Workspace Context::take(std::size_t device_bytes, std::size_t pinned_bytes) {
  // Sizes of a power of two, so that steps of about the same size share their memory.
  device_bytes = std::bit_ceil(device_bytes);
  pinned_bytes = std::bit_ceil(pinned_bytes);
  {
    const std::scoped_lock lock(mutex_);
    const auto found = std::find_if(free_.begin(), free_.end(), [&](const Workspace& w) {
      return w.device.size_bytes() == device_bytes && w.pinned.size_bytes() == pinned_bytes;
    });
    if (found != free_.end()) {
      Workspace workspace = std::move(*found);
      free_.erase(found);
      return workspace;
    }
  }
  const cuda::DeviceGuard guard(device_.ordinal);
  return {cuda::DeviceBuffer(device_bytes), cuda::PinnedBuffer(pinned_bytes), cuda::Event()};
}

void Context::give_back(Workspace workspace) noexcept {
  const std::scoped_lock lock(mutex_);
  try {
    free_.push_back(std::move(workspace));
  } catch (const std::bad_alloc&) {
    return;  // no memory for the list: it is freed instead
  }
}

}  // namespace pkv::fi
