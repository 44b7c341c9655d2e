#pragma once

// What a backend shares with the steps it has prepared, which may outlive it: the device, and memory to reuse, so that
// preparing a step costs no allocation once steps like it were there.

#include "cuda_support/memory.hpp"
#include "cuda_support/pointers.hpp"
#include "cuda_support/stream.hpp"
#include "persistentkv/cuda/cuda_backend.hpp"

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

namespace pkv::fi {

/// Of one prepared step.
struct Workspace {
  cuda::DeviceBuffer device;
  cuda::PinnedBuffer pinned;
  cuda::Event uploaded;  // pinned has been copied to device
};

class Context {
 public:
  /// On the device, which must be current.
  explicit Context(CudaDeviceInfo device) : device_(std::move(device)), pointers_(device_.ordinal) {}

  [[nodiscard]] const CudaDeviceInfo& device() const noexcept { return device_; }
  [[nodiscard]] cuda::DevicePointers& pointers() noexcept { return pointers_; }
  /// For what is copied when a step is prepared.
  [[nodiscard]] const cuda::Stream& uploads() const noexcept { return uploads_; }

  /// One that nobody uses, of at least these sizes. Its last upload may still be on its way, which does no harm:
  /// uploads follow one another. Throws CudaError.
  [[nodiscard]] Workspace take(std::size_t device_bytes, std::size_t pinned_bytes);
  void give_back(Workspace workspace) noexcept;

 private:
  CudaDeviceInfo device_;
  cuda::DevicePointers pointers_;
  cuda::Stream uploads_;
  std::mutex mutex_;
  std::vector<Workspace> free_;
};

/// A workspace that goes back to the context.
class Leased {
 public:
  Leased(std::shared_ptr<Context> context, std::size_t device_bytes, std::size_t pinned_bytes)
      : context_(std::move(context)), workspace_(context_->take(device_bytes, pinned_bytes)) {}
  ~Leased() { context_->give_back(std::move(workspace_)); }
  Leased(const Leased&) = delete;
  Leased& operator=(const Leased&) = delete;

  [[nodiscard]] unsigned char* device() const noexcept { return workspace_.device.as<unsigned char>(); }
  [[nodiscard]] unsigned char* pinned() const noexcept { return workspace_.pinned.data(); }
  [[nodiscard]] const cuda::Event& uploaded() const noexcept { return workspace_.uploaded; }

 private:
  std::shared_ptr<Context> context_;
  Workspace workspace_;
};

}  // namespace pkv::fi
