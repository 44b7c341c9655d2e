#include "cold_l2.hpp"

#include "cuda_support/check.hpp"
#include "readers.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pkv::cuda_bench {

namespace {

/// So much more than L2 is read to empty it that the host has put a step's launches into the stream before it is over.
constexpr std::int64_t kCaches = 8;
constexpr std::int64_t kLeastBytes = std::int64_t{64} << 20;

}  // namespace

ColdL2::ColdL2(const CudaDeviceInfo& device) : bytes_(size_bytes(device)), num_sms_(device.num_sms), memory_(bytes_) {
  cuda::check(cudaMemset(memory_.get(), 0x11, static_cast<std::size_t>(bytes_)), "cudaMemset");
  cuda::check(cudaDeviceSynchronize(), "cudaMemset");
}

std::int64_t ColdL2::size_bytes(const CudaDeviceInfo& device) noexcept {
  return std::max(kCaches * device.l2_bytes, kLeastBytes) / 16 * 16;
}

void ColdL2::evict(cudaStream_t stream) {
  read_through_l2(memory_.get(), bytes_, num_sms_, stream);
  cuda::check(cudaGetLastError(), "evicting L2");
}

std::string ColdL2::describe() const {
  return fmt::format("cold L2: {} MiB of other memory are read before each run", bytes_ >> 20);
}

}  // namespace pkv::cuda_bench
