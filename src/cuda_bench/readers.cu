#include "readers.hpp"

namespace pkv::cuda_bench {

namespace {

constexpr int kThreads = 512;

__device__ std::uint32_t fold(const uint4& x) { return x.x ^ x.y ^ x.z ^ x.w; }

/// Never stores, but nobody can know: the loads must stay.
__device__ void keep(std::uint32_t all, std::uint32_t* sink) {
  if (all == 0x12345678u && sink != nullptr) *sink = all;
}

__global__ void __launch_bounds__(kThreads)
    stretch_kernel(const uint4* data, std::int64_t vectors, std::uint32_t* sink) {
  const std::int64_t step = std::int64_t{gridDim.x} * kThreads;
  std::uint32_t all = 0;
#pragma unroll 4
  for (std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x; i < vectors; i += step)
    all ^= fold(__ldcg(data + i));
  keep(all, sink);
}

__global__ void __launch_bounds__(kThreads) vectors_kernel(PageList list, std::uint32_t* sink) {
  constexpr int kAtOnce = 4;
  const auto vectors = static_cast<std::uint32_t>(list.page_bytes / 16);
  const std::int64_t total = std::int64_t{list.count} * vectors;
  const std::int64_t step = std::int64_t{gridDim.x} * kThreads;
  std::uint32_t all = 0;
  for (std::int64_t first = std::int64_t{blockIdx.x} * kThreads + threadIdx.x; first < total; first += kAtOnce * step) {
    std::int64_t at[kAtOnce];
#pragma unroll
    for (int x = 0; x < kAtOnce; ++x) {
      const std::int64_t i = first + x * step < total ? first + x * step : first;
      // Division of 32 bits where that is enough: of 64 it would be what takes the time.
      const std::int64_t page = total <= UINT32_MAX ? static_cast<std::uint32_t>(i) / vectors : i / vectors;
      at[x] = list.pages[page] * std::int64_t{vectors} + (i - page * vectors);
    }
#pragma unroll
    for (int x = 0; x < kAtOnce; ++x) {
      all ^= fold(__ldcs(static_cast<const uint4*>(list.k) + at[x]));
      all ^= fold(__ldcs(static_cast<const uint4*>(list.v) + at[x]));
    }
  }
  keep(all, sink);
}

}  // namespace

void read_through_l2(const void* data, std::int64_t bytes, int num_sms, cudaStream_t stream) {
  stretch_kernel<<<num_sms * 4, kThreads, 0, stream>>>(static_cast<const uint4*>(data), bytes / 16, nullptr);
}

void read_by_vectors(const PageList& list, int num_sms, cudaStream_t stream) {
  vectors_kernel<<<num_sms * 4, kThreads, 0, stream>>>(list, nullptr);
}

}  // namespace pkv::cuda_bench
