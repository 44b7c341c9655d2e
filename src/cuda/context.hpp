#pragma once

// What a backend shares with the steps it has prepared, which may outlive it.

#include "cuda_support/memory.hpp"
#include "cuda_support/pointers.hpp"
#include "kernel_table.hpp"
#include "persistentkv/cuda/cuda_backend.hpp"

#include <cuda_runtime_api.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace pkv::cuda {

/// How a group of query heads is served: `chunks` passes over K and V, each for at most heads_per_unit heads.
struct GroupCut {
  int chunks = 1;
  int heads_per_unit = 1;
  int blocks = 1;  ///< of 8 heads

  [[nodiscard]] static GroupCut of(int group_size, int max_blocks) noexcept;
};

/// A kernel and the shape of its CTAs.
struct KernelLaunch {
  const void* function = nullptr;
  cudaFunction_t kernel = nullptr;  ///< the same, as the driver has it
  int warps = 0;
  int shared_bytes = 0;
  int twos_at_once = 0;  ///< pairs of CTAs that the device runs at once: see LaunchShape. Of two blocks of heads only
};

class CudaContext {
 public:
  explicit CudaContext(const CudaBackendConfig& config);
  ~CudaContext();
  CudaContext(const CudaContext&) = delete;
  CudaContext& operator=(const CudaContext&) = delete;

  [[nodiscard]] const CudaDeviceInfo& device() const noexcept { return device_; }
  /// Whether kernels can be chained by programmatic dependent launch: the device has it, and they wait for the one
  /// ahead, as those do not that are made of code for devices without it.
  [[nodiscard]] bool chains() const noexcept { return chains_; }
  /// CTAs that `stream` has by default: launched alone, or chained, where only long steps have as many.
  [[nodiscard]] int stream_ctas(bool chained = false) const noexcept {
    return chained ? chained_stream_ctas_ : stream_ctas_;
  }

  /// A decoding kernel with as many warps as fit, up to `max_warps`. Throws Unsupported where not one does, or where
  /// this build has no code for the device.
  [[nodiscard]] KernelLaunch configure(const void* function, const DecodeKernels& kernels, const GroupCut& group,
                                       int max_warps);

  /// CTAs of a kernel that the device runs at once.
  [[nodiscard]] std::int64_t resident_ctas(const KernelLaunch& launch) const;

  /// Memory of `size_bytes` that nobody uses. What is in it is what its last user of the same layout left, zeros at
  /// first: users whose counters return to zero need not clear them.
  [[nodiscard]] DeviceBuffer take(std::size_t size_bytes, std::uint64_t layout);
  void give_back(DeviceBuffer buffer, std::uint64_t layout) noexcept;

  /// Copies to the device and waits for that copy alone.
  void upload(void* to, const void* from, std::size_t size_bytes);
  void clear(void* data, std::size_t size_bytes);
  /// Before the memory is taken again.
  void clear_later(void* data, std::size_t size_bytes) noexcept;

  /// Memory of this device.
  [[nodiscard]] DevicePointers& pointers() noexcept { return *pointers_; }

 private:
  [[nodiscard]] int twos_at_once(const KernelLaunch& launch) const;

  CudaBackendConfig config_;
  CudaDeviceInfo device_;
  bool chains_ = false;
  int stream_ctas_ = 0;
  int chained_stream_ctas_ = 0;
  cudaStream_t uploads_ = nullptr;
  std::mutex mutex_;
  std::vector<std::pair<DeviceBuffer, std::uint64_t>> free_;  // with their layouts
  std::atomic<bool> clearing_ = false;                        // uploads_ may hold work that take() must wait for
  std::vector<KernelLaunch> configured_;
  std::optional<DevicePointers> pointers_;
};

/// Memory that goes back to the context.
class Leased {
 public:
  Leased() = default;
  Leased(std::shared_ptr<CudaContext> context, std::size_t size_bytes, std::uint64_t layout = 0)
      : context_(std::move(context)), buffer_(context_->take(size_bytes, layout)), layout_(layout) {}
  ~Leased() {
    if (context_) context_->give_back(std::move(buffer_), layout_);
  }
  Leased(Leased&&) = default;
  Leased& operator=(Leased&& other) noexcept {
    std::swap(context_, other.context_);
    std::swap(buffer_, other.buffer_);
    std::swap(layout_, other.layout_);
    return *this;
  }

  [[nodiscard]] unsigned char* data() const noexcept { return buffer_.as<unsigned char>(); }

 private:
  std::shared_ptr<CudaContext> context_;
  DeviceBuffer buffer_;
  std::uint64_t layout_ = 0;
};

}  // namespace pkv::cuda
