#include "conformance/memory.hpp"

#include <cstring>
#include <new>

namespace pkv::conformance {

namespace {
constexpr std::align_val_t kAlignment{64};
}

void* HostMemory::allocate(std::size_t bytes) { return ::operator new(bytes, kAlignment); }

void HostMemory::release(void* data) noexcept { ::operator delete(data, kAlignment); }

void HostMemory::upload(void* to, const void* from_host, std::size_t bytes) {
  if (bytes > 0) std::memcpy(to, from_host, bytes);
}

void HostMemory::download(void* to_host, const void* from, std::size_t bytes) {
  if (bytes > 0) std::memcpy(to_host, from, bytes);
}

}  // namespace pkv::conformance
