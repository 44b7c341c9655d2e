#pragma once

// Where a backend's tensors live. Tests build everything in host memory; what a backend touches is moved by these.

#include "persistentkv/core/index_view.hpp"

#include <cstddef>

namespace pkv::conformance {

/// Memory that a backend can work on.
class Memory {
 public:
  virtual ~Memory() = default;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  /// How index arrays in it are labelled.
  [[nodiscard]] virtual MemorySpace space() const noexcept = 0;
  /// At least `bytes` bytes, aligned to 64. Never null.
  [[nodiscard]] virtual void* allocate(std::size_t bytes) = 0;
  virtual void release(void* data) noexcept = 0;
  /// Both return when the copy is done and, for download, all work before it.
  virtual void upload(void* to, const void* from_host, std::size_t bytes) = 0;
  virtual void download(void* to_host, const void* from, std::size_t bytes) = 0;

 protected:
  Memory() = default;
};

/// The host itself. Copies nevertheless: what a backend reads outside a tensor is then outside an allocation too.
class HostMemory : public Memory {
 public:
  [[nodiscard]] MemorySpace space() const noexcept override { return MemorySpace::kHost; }
  [[nodiscard]] void* allocate(std::size_t bytes) override;
  void release(void* data) noexcept override;
  void upload(void* to, const void* from_host, std::size_t bytes) override;
  void download(void* to_host, const void* from, std::size_t bytes) override;
};

}  // namespace pkv::conformance
