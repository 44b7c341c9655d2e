#include "evict.hpp"

namespace pkv::cuda_replay {

namespace {

constexpr int kThreads = 512;

__global__ void __launch_bounds__(kThreads) read_kernel(const uint4* data, std::int64_t vectors, std::uint32_t* sink) {
  const std::int64_t step = std::int64_t{gridDim.x} * kThreads;
  std::uint32_t all = 0;
#pragma unroll 4
  for (std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x; i < vectors; i += step) {
    const uint4 x = __ldcg(data + i);
    all ^= x.x ^ x.y ^ x.z ^ x.w;
  }
  if (all == 0x12345678u && sink != nullptr) *sink = all;  // never: the loads must stay
}

}  // namespace

void read_through_l2(const void* data, std::int64_t bytes, int num_sms, cudaStream_t stream) {
  read_kernel<<<num_sms * 4, kThreads, 0, stream>>>(static_cast<const uint4*>(data), bytes / 16, nullptr);
}

}  // namespace pkv::cuda_replay
