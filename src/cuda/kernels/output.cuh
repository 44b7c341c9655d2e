#pragma once

// Results on their way out: normalised, rounded, and the LSE beside them.

#include "attention.cuh"

namespace pkv::cuda {

__device__ __forceinline__ void write_lse(const DecodeParams& p, std::int64_t out_row, int head, float max, float sum) {
  if (p.lse.data == nullptr) return;
  p.lse.data[out_row * p.lse.row_stride + head * p.lse.head_stride] = (max + fast_log2(sum)) * p.lse.log2_factor;
}

/// Four neighbouring dimensions of one head.
template <class T, class Params>
__device__ __forceinline__ void write_four(const Params& p, std::int64_t out_row, int head, int dim, float4 x) {
  char* to = p.out.data + out_row * p.out.row_bytes + head * p.out.head_bytes;
  if (!Params::Form::kUsual && p.out_is_f32) {
    *reinterpret_cast<float4*>(to + dim * 4) = x;
  } else {
    *reinterpret_cast<uint2*>(to + dim * 2) = make_uint2(Packed<T>::pack(x.x, x.y), Packed<T>::pack(x.z, x.w));
  }
}

/// A unit that one warp did alone: from registers to memory, no shared memory, no barrier.
template <class T, int kHeadDim, int kBlocks, class Params>
__device__ __forceinline__ void write_state(const Params& p, const State<kHeadDim, kBlocks>& state, int row,
                                            const Unit& unit) {
  const std::int64_t out_row = tensor_row<typename Params::Form>(p.out, row, p.step.errors);
  if (out_row < 0) return;
  const int r = lane_id() >> 2, c = lane_id() & 3;
  char* base = p.out.data + out_row * p.out.row_bytes + unit.first_head * p.out.head_bytes;
#pragma unroll
  for (int n = 0; n < kBlocks; ++n) {
    const float inverse[2] = {fast_reciprocal(state.sum[n][0]), fast_reciprocal(state.sum[n][1])};
    if (!Params::Form::kUsual && p.out_is_f32) {
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const int head = 8 * n + 2 * c + e;
        if (head >= unit.heads) continue;
        float* to = reinterpret_cast<float*>(base + head * p.out.head_bytes) + r;
#pragma unroll
        for (int j = 0; j < kHeadDim / 16; ++j) {
          to[16 * j] = state.acc[n][j][e] * inverse[e];
          to[16 * j + 8] = state.acc[n][j][2 + e] * inverse[e];
        }
      }
    } else {
      const int head = 8 * n + r;  // transposed, a lane holds two neighbouring dimensions of head r
      char* to = base + head * p.out.head_bytes + 4 * c;
#pragma unroll
      for (int i = 0; i < kHeadDim / 8; ++i) {
        const float* a = &state.acc[n][i >> 1][(i & 1) * 2];
        const std::uint32_t pair = transpose_matrix(Packed<T>::pack(a[0] * inverse[0], a[1] * inverse[1]));
        if (head < unit.heads) *reinterpret_cast<std::uint32_t*>(to + 16 * i) = pair;
      }
    }
    if (r == 0) {
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const int head = 8 * n + 2 * c + e;
        if (head < unit.heads) write_lse(p, out_row, unit.first_head + head, state.max[n][e], state.sum[n][e]);
      }
    }
  }
}

/// Zeros, and -infinity for the LSE, for rows without tokens: rows `first`, `first + step`, ... by whole warps.
template <class T, int kHeadDim, class Params>
__device__ __forceinline__ void write_empty_rows(const Params& p, int first, int step) {
  for (int row = first; row < p.step.batch; row += step) {
    if (row_tokens<typename Params::Form>(p.step, row) > 0) continue;
    const std::int64_t out_row = tensor_row<typename Params::Form>(p.out, row, p.step.errors);
    if (out_row < 0) continue;
    const int heads = p.step.num_units / p.chunks * p.group_size;
    for (int i = lane_id(); i < heads * (kHeadDim / 4); i += 32)
      write_four<T>(p, out_row, i / (kHeadDim / 4), i % (kHeadDim / 4) * 4, make_float4(0.0f, 0.0f, 0.0f, 0.0f));
    for (int head = lane_id(); head < heads; head += 32) write_lse(p, out_row, head, 0.0f, 0.0f);
  }
}

}  // namespace pkv::cuda
