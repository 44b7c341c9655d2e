#include "cuda_support/check.hpp"
#include "gather.hpp"

namespace pkv::cuda_reproduce {

namespace {

constexpr int kThreads = 256;

template <bool kScatter>
__global__ void __launch_bounds__(kThreads)
    move_rows(const uint4* from, const std::int32_t* ids, uint4* to, std::int64_t vectors) {
  const std::int64_t near = blockIdx.x * vectors, far = ids[blockIdx.x] * vectors;
  for (std::int64_t i = threadIdx.x; i < vectors; i += kThreads)
    to[(kScatter ? far : near) + i] = from[(kScatter ? near : far) + i];
}

template <bool kScatter>
void launch(const void* from, const std::int32_t* ids, void* to, int rows, std::int64_t row_bytes,
            cudaStream_t stream) {
  move_rows<kScatter>
      <<<rows, kThreads, 0, stream>>>(static_cast<const uint4*>(from), ids, static_cast<uint4*>(to), row_bytes / 16);
  cuda::check(cudaGetLastError(), kScatter ? "scattering rows" : "gathering rows");
}

}  // namespace

void gather_rows(const void* from, const std::int32_t* ids, void* to, int rows, std::int64_t row_bytes,
                 cudaStream_t stream) {
  launch<false>(from, ids, to, rows, row_bytes, stream);
}

void scatter_rows(const void* from, const std::int32_t* ids, void* to, int rows, std::int64_t row_bytes,
                  cudaStream_t stream) {
  launch<true>(from, ids, to, rows, row_bytes, stream);
}

}  // namespace pkv::cuda_reproduce
