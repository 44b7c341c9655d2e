#include "silu_mul.hpp"

#include "cuda_support/check.hpp"

#include <cuda_fp16.h>

namespace pkv::cuda_mlp {

namespace {

constexpr int kThreads = 256;

__device__ float silu(float x) { return x / (1.0f + __expf(-x)); }

__global__ void __launch_bounds__(kThreads) silu_mul_kernel(const __half2* x, __half2* out, int pairs) {
  const int i = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  if (i >= pairs) return;
  const std::int64_t row = blockIdx.y;
  const float2 gate = __half22float2(x[row * 2 * pairs + i]);
  const float2 up = __half22float2(x[row * 2 * pairs + pairs + i]);
  out[row * pairs + i] = __floats2half2_rn(silu(gate.x) * up.x, silu(gate.y) * up.y);
}

}  // namespace

void silu_mul(const void* x, void* out, int rows, int width, StreamHandle stream) {
  const int pairs = width / 2;
  const dim3 grid(static_cast<unsigned>((pairs + kThreads - 1) / kThreads), static_cast<unsigned>(rows));
  silu_mul_kernel<<<grid, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(static_cast<const __half2*>(x),
                                                                            static_cast<__half2*>(out), pairs);
  cuda::check(cudaGetLastError(), "silu_mul");
}

}  // namespace pkv::cuda_mlp
