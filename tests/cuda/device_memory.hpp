#pragma once

// Device memory for the conformance suite.

#include "conformance/memory.hpp"

namespace pkv::testing {

class DeviceMemory : public conformance::Memory {
 public:
  [[nodiscard]] MemorySpace space() const noexcept override { return MemorySpace::kDevice; }
  [[nodiscard]] void* allocate(std::size_t bytes) override;
  void release(void* data) noexcept override;
  void upload(void* to, const void* from_host, std::size_t bytes) override;
  void download(void* to_host, const void* from, std::size_t bytes) override;
};

}  // namespace pkv::testing
