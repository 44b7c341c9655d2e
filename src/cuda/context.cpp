#include "context.hpp"

#include "cuda_support/check.hpp"
#include "kernels/params.hpp"
#include "launch.hpp"
#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <new>

namespace pkv::cuda {

namespace {

constexpr int kOldest = 80;

void require(const char* name, int value, int high) {
  if (value < 0 || value > high) throw InvalidArgument(fmt::format("{} is {}, must be in [0, {}]", name, value, high));
}

/// Whether a kernel was compiled for devices that have programmatic dependent launch. Made of code for older ones by
/// the driver, it does not wait.
bool can_wait(const void* function) {
  cudaFuncAttributes attributes;
  if (cudaFuncGetAttributes(&attributes, function) == cudaSuccess) return attributes.ptxVersion >= 90;
  (void)cudaGetLastError();
  return false;
}

}  // namespace

GroupCut GroupCut::of(int group_size, int max_blocks) noexcept {
  GroupCut cut;
  cut.chunks = (group_size + 8 * max_blocks - 1) / (8 * max_blocks);
  cut.heads_per_unit = (group_size + cut.chunks - 1) / cut.chunks;
  cut.blocks = (cut.heads_per_unit + 7) / 8;
  return cut;
}

CudaContext::CudaContext(const CudaBackendConfig& config) : config_(config) {
  require("max_ctas", config.max_ctas, 1 << 20);
  require("max_warps", config.max_warps, kMaxWarps);
  require("max_shared_bytes", config.max_shared_bytes, 1 << 30);
  if (config.device >= 0 && config.device >= cuda_device_count()) {
    throw InvalidArgument(
        fmt::format("device is {}, must be below the number of CUDA devices, {}", config.device, cuda_device_count()));
  }
  if (cuda_device_count() == 0)
    throw CudaError("no CUDA device: there is no NVIDIA GPU here, or its driver is too old");
  device_ = cuda_device_info(config.device);
  pointers_.emplace(device_.ordinal);
  if (device_.compute_capability < kOldest) {
    throw Unsupported(fmt::format("{} has compute capability {}.{}, must be at least {}.{}", device_.name,
                                  device_.compute_capability / 10, device_.compute_capability % 10, kOldest / 10,
                                  kOldest % 10));
  }
  // In a chain by programmatic dependent launch an SM is left free: where there is none, the next kernel's launch does
  // not even begin before a CTA has ended (measured: docs/design/cuda-engine.md).
  const DeviceGuard guard(device_.ordinal);
  chains_ = device_.compute_capability >= 90 && can_wait(find_kernels(DType::kF16, 128)->stream_of(StepForm::kAny, 1));
  const int chained = chains_ ? device_.num_sms - 1 : device_.num_sms;
  const int most = config.max_ctas > 0 ? config.max_ctas : device_.num_sms;
  stream_ctas_ = std::min(most, device_.num_sms);
  chained_stream_ctas_ = config.max_ctas > 0 ? stream_ctas_ : chained;
  check(cudaStreamCreateWithFlags(&uploads_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
}

CudaContext::~CudaContext() {
  if (uploads_ != nullptr) (void)cudaStreamDestroy(uploads_);
}

KernelLaunch CudaContext::configure(const void* function, const DecodeKernels& kernels, const GroupCut& group,
                                    int max_warps) {
  const std::scoped_lock lock(mutex_);
  const int warp_bytes =
      kernels.ring_bytes + group.heads_per_unit * kernels.part_floats * static_cast<int>(sizeof(float));
  cudaFuncAttributes attributes;
  KernelLaunch launch{function};
  const auto known = std::find_if(configured_.begin(), configured_.end(),
                                  [&](const KernelLaunch& k) { return k.function == function; });
  if (known != configured_.end()) {
    launch = *known;
  } else {
    const DeviceGuard guard(device_.ordinal);
    if (const cudaError_t status = cudaFuncGetAttributes(&attributes, function); status != cudaSuccess) {
      (void)cudaGetLastError();
      throw Unsupported(fmt::format("this build has no code for {} (compute capability {}.{}): {}", device_.name,
                                    device_.compute_capability / 10, device_.compute_capability % 10,
                                    cudaGetErrorString(status)));
    }
    auto most = device_.shared_bytes_per_cta - static_cast<std::int64_t>(attributes.sharedSizeBytes);
    if (config_.max_shared_bytes > 0)
      most = std::min<std::int64_t>(most,
                                    config_.max_shared_bytes - static_cast<std::int64_t>(attributes.sharedSizeBytes));
    launch.shared_bytes = static_cast<int>(std::max<std::int64_t>(most, 0));
    check(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, launch.shared_bytes),
          "cudaFuncSetAttribute");
    launch.kernel = load_kernel(device_.ordinal, function);
    if (group.blocks > 1) launch.twos_at_once = twos_at_once(launch);
    configured_.push_back(launch);
  }
  launch.warps = std::min(launch.shared_bytes / warp_bytes, max_warps);
  if (config_.max_warps > 0) launch.warps = std::min(launch.warps, config_.max_warps);
  if (launch.warps < 1) {
    throw Unsupported(fmt::format("a CTA has {} bytes of shared memory, must have {} for this shape",
                                  launch.shared_bytes, warp_bytes));
  }
  launch.shared_bytes = launch.warps * warp_bytes;
  return launch;
}

int CudaContext::twos_at_once(const KernelLaunch& launch) const {
  if (device_.compute_capability < 90) return 0;
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(2);
  config.blockDim = dim3(kMaxWarps * 32);
  config.dynamicSmemBytes = static_cast<std::size_t>(launch.shared_bytes);
  cudaLaunchAttribute cluster = {};
  cluster.id = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim = {2, 1, 1};
  config.attrs = &cluster;
  config.numAttrs = 1;
  int at_once = 0;
  if (cudaOccupancyMaxActiveClusters(&at_once, launch.function, &config) == cudaSuccess) return at_once;
  (void)cudaGetLastError();
  return 0;
}

std::int64_t CudaContext::resident_ctas(const KernelLaunch& launch) const {
  const DeviceGuard guard(device_.ordinal);
  int of_sm = 0;
  check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&of_sm, launch.function, launch.warps * 32,
                                                      static_cast<std::size_t>(launch.shared_bytes)),
        "cudaOccupancyMaxActiveBlocksPerMultiprocessor");
  return std::int64_t{of_sm} * device_.num_sms;
}

DeviceBuffer CudaContext::take(std::size_t size_bytes, std::uint64_t layout) {
  if (size_bytes == 0) return {};
  if (clearing_.exchange(false)) check(cudaStreamSynchronize(uploads_), "cudaStreamSynchronize");
  {
    const std::scoped_lock lock(mutex_);
    const auto fits = [&](const auto& free) { return free.first.size_bytes() == size_bytes && free.second == layout; };
    const auto found = std::find_if(free_.begin(), free_.end(), fits);
    if (found != free_.end()) {
      DeviceBuffer buffer = std::move(found->first);
      free_.erase(found);
      return buffer;
    }
  }
  const DeviceGuard guard(device_.ordinal);
  DeviceBuffer buffer(size_bytes);
  clear(buffer.data(), size_bytes);
  return buffer;
}

void CudaContext::give_back(DeviceBuffer buffer, std::uint64_t layout) noexcept {
  if (buffer.size_bytes() == 0) return;
  const std::scoped_lock lock(mutex_);
  try {
    free_.emplace_back(std::move(buffer), layout);
  } catch (const std::bad_alloc&) {
    buffer = {};  // no memory for the list: the buffer is freed instead
  }
}

void CudaContext::upload(void* to, const void* from, std::size_t size_bytes) {
  check(cudaMemcpyAsync(to, from, size_bytes, cudaMemcpyHostToDevice, uploads_), "cudaMemcpyAsync");
  check(cudaStreamSynchronize(uploads_), "cudaStreamSynchronize");
}

void CudaContext::clear(void* data, std::size_t size_bytes) {
  check(cudaMemsetAsync(data, 0, size_bytes, uploads_), "cudaMemsetAsync");
  check(cudaStreamSynchronize(uploads_), "cudaStreamSynchronize");
}

void CudaContext::clear_later(void* data, std::size_t size_bytes) noexcept {
  (void)cudaMemsetAsync(data, 0, size_bytes, uploads_);
  clearing_ = true;
}

}  // namespace pkv::cuda
