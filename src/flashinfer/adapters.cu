#include "adapters.hpp"
#include "cuda_support/check.hpp"

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <math_constants.h>

namespace pkv::fi {

namespace {

constexpr int kThreads = 128;
constexpr int kVector = 8;  // 16-bit elements of a 16-byte access

__device__ std::int64_t row_of(const Rows& rows, int row, unsigned* errors) {
  if (rows.ids == nullptr) return row;
  const std::int64_t id = rows.ids_are_64_bit ? static_cast<const std::int64_t*>(rows.ids)[row]
                                              : static_cast<const std::int32_t*>(rows.ids)[row];
  if (id >= 0 && id < rows.num_rows) return id;
  atomicOr(errors, kRowIdOutOfRange);
  return -1;
}

__global__ void gather_kernel(Rows from, DenseShape shape, uint4* to, unsigned* errors) {
  const int row = blockIdx.x;
  const std::int64_t id = max(row_of(from, row, errors), std::int64_t{0});
  const int vectors = shape.head_dim / kVector;
  for (int i = threadIdx.x; i < shape.num_heads * vectors; i += kThreads) {
    const int head = i / vectors;
    const std::int64_t at = id * from.row_stride + head * from.head_stride + i % vectors * kVector;
    to[static_cast<std::int64_t>(row) * shape.num_heads * vectors + i] =
        *reinterpret_cast<const uint4*>(static_cast<const unsigned short*>(from.data) + at);
  }
}

__device__ float2 widen(__half2 pair) { return __half22float2(pair); }
__device__ float2 widen(__nv_bfloat162 pair) { return __bfloat1622float2(pair); }

template <class Pair>
__device__ void store_f32(float* to, const uint4& packed) {
  const auto* pairs = reinterpret_cast<const Pair*>(&packed);
  const float2 a = widen(pairs[0]), b = widen(pairs[1]), c = widen(pairs[2]), d = widen(pairs[3]);
  reinterpret_cast<float4*>(to)[0] = make_float4(a.x, a.y, b.x, b.y);
  reinterpret_cast<float4*>(to)[1] = make_float4(c.x, c.y, d.x, d.y);
}

template <class Pair>
__global__ void finish_kernel(FinishRequest request) {
  const int row = blockIdx.x;
  const std::int64_t id = row_of(request.out, row, request.errors);
  if (id < 0) return;
  const bool empty = request.page_offsets[row] == request.page_offsets[row + 1];
  const DenseShape& shape = request.shape;
  const std::int64_t first_head = static_cast<std::int64_t>(row) * shape.num_heads;
  if (request.dense_out != nullptr) {
    const int vectors = shape.head_dim / kVector;
    for (int i = threadIdx.x; i < shape.num_heads * vectors; i += kThreads) {
      const std::int64_t at =
          id * request.out.row_stride + i / vectors * request.out.head_stride + i % vectors * kVector;
      const uint4 packed =
          empty ? make_uint4(0, 0, 0, 0) : static_cast<const uint4*>(request.dense_out)[first_head * vectors + i];
      if (request.out_is_f32)
        store_f32<Pair>(static_cast<float*>(request.out.data) + at, packed);
      else
        *reinterpret_cast<uint4*>(static_cast<unsigned short*>(request.out.data) + at) = packed;
    }
  }
  if (request.lse == nullptr) return;
  for (int head = threadIdx.x; head < shape.num_heads; head += kThreads) {
    request.lse[id * request.lse_row_stride + head * request.lse_head_stride] =
        empty ? -CUDART_INF_F : request.dense_lse[first_head + head] * request.lse_factor;
  }
}

}  // namespace

void gather(const Rows& from, const DenseShape& shape, void* to, unsigned* errors, cudaStream_t stream) {
  gather_kernel<<<shape.batch, kThreads, 0, stream>>>(from, shape, static_cast<uint4*>(to), errors);
  cuda::check(cudaGetLastError(), "gathering q");
}

void finish(const FinishRequest& request, cudaStream_t stream) {
  if (request.dtype == DType::kF16)
    finish_kernel<__half2><<<request.shape.batch, kThreads, 0, stream>>>(request);
  else
    finish_kernel<__nv_bfloat162><<<request.shape.batch, kThreads, 0, stream>>>(request);
  cuda::check(cudaGetLastError(), "scattering out");
}

}  // namespace pkv::fi
