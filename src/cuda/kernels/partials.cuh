#pragma once

// Partial results: of a CTA's warps, in shared memory; of CTAs, in the workspace. All in FP32, and always added up in
// the order of the tokens, so that who does it changes no bit.

#include "output.cuh"

#include <cuda/atomic>

namespace pkv::cuda {

__device__ __forceinline__ void add_scaled(float4& to, float factor, float4 x) {
  to.x += factor * x.x;
  to.y += factor * x.y;
  to.z += factor * x.z;
  to.w += factor * x.w;
}

/// The part of one head of a unit that a lane holds: its dimensions 4 * lane, and 128 more for each further element.
template <int kHeadDim>
struct HeadPart {
  static constexpr int kVectors = (kHeadDim + 127) / 128;
  float max;
  float sum;
  float4 acc[kVectors];

  __device__ __forceinline__ void clear() {
    max = kLowest;
    sum = 0.0f;
#pragma unroll
    for (int v = 0; v < kVectors; ++v) acc[v] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
  }
  /// Of a warp of this CTA. `from`: the head's first dimension.
  __device__ __forceinline__ void load(float2 max_sum, const float* from) {
    max = max_sum.x;
    sum = max_sum.y;
#pragma unroll
    for (int v = 0; v < kVectors; ++v)
      acc[v] = mine(v) ? *reinterpret_cast<const float4*>(from + dim(v)) : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
  }
  /// To a maximum that is no less.
  __device__ __forceinline__ void scale_to(float new_max) {
    const float factor = fast_exp2(max - new_max);
    max = new_max;
    sum *= factor;
#pragma unroll
    for (int v = 0; v < kVectors; ++v)
      acc[v] = make_float4(acc[v].x * factor, acc[v].y * factor, acc[v].z * factor, acc[v].w * factor);
  }
  /// Of a part whose maximum is no greater.
  __device__ __forceinline__ void add(const HeadPart& part) {
    const float weight = fast_exp2(part.max - max);
    sum += weight * part.sum;
#pragma unroll
    for (int v = 0; v < kVectors; ++v) add_scaled(acc[v], weight, part.acc[v]);
  }
  __device__ __forceinline__ static bool mine(int v) { return v * 128 + lane_id() * 4 < kHeadDim; }
  __device__ __forceinline__ static int dim(int v) { return v * 128 + lane_id() * 4; }
};

template <class T, int kHeadDim, class Params>
__device__ __forceinline__ void write_head(const Params& p, const HeadPart<kHeadDim>& part, int row, int head) {
  const std::int64_t out_row = tensor_row<typename Params::Form>(p.out, row, p.step.errors);
  if (out_row < 0) return;
  const float inverse = fast_reciprocal(part.sum);
#pragma unroll
  for (int v = 0; v < HeadPart<kHeadDim>::kVectors; ++v) {
    const float4 a = part.acc[v];
    if (HeadPart<kHeadDim>::mine(v))
      write_four<T>(p, out_row, head, HeadPart<kHeadDim>::dim(v),
                    make_float4(a.x * inverse, a.y * inverse, a.z * inverse, a.w * inverse));
  }
  if (lane_id() == 0) write_lse(p, out_row, head, part.max, part.sum);
}

// ------------------------------------------------------------------------------------------------- between warps

/// Floats of a head in shared memory; the odd four let the fragments' stores meet no bank twice.
template <int kHeadDim>
inline constexpr int kPartPitch = kHeadDim + 4;

/// max_sum: [heads]
template <int kHeadDim, int kBlocks>
__device__ __forceinline__ void store_part(float* acc, float2* max_sum, const State<kHeadDim, kBlocks>& state,
                                           int heads) {
  const int r = lane_id() >> 2, c = lane_id() & 3;
#pragma unroll
  for (int n = 0; n < kBlocks; ++n)
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      const int head = 8 * n + 2 * c + e;
      if (head >= heads) continue;
      float* to = acc + head * kPartPitch<kHeadDim> + r;
#pragma unroll
      for (int j = 0; j < kHeadDim / 16; ++j) {
        to[16 * j] = state.acc[n][j][e];
        to[16 * j + 8] = state.acc[n][j][2 + e];
      }
      if (r == 0) max_sum[head] = make_float2(state.max[n][e], state.sum[n][e]);
    }
}

// --------------------------------------------------------------------------------------------------- between CTAs

template <int kHeadDim>
__device__ __forceinline__ void publish(const PartialsParams& partials, std::int64_t index,
                                        const HeadPart<kHeadDim>& part) {
#pragma unroll
  for (int v = 0; v < HeadPart<kHeadDim>::kVectors; ++v)
    if (HeadPart<kHeadDim>::mine(v))
      __stcg(reinterpret_cast<float4*>(partials.acc + index * kHeadDim + HeadPart<kHeadDim>::dim(v)), part.acc[v]);
  if (lane_id() == 0) __stcg(partials.max_sum + index, make_float2(part.max, part.sum));
}

/// After publish(), and a barrier (of the warp, where one warp published) among those who did: whether this part is the
/// last of `count`, all of which may then be read after another barrier. One thread; nobody waits, and the counter is
/// back at zero after the last.
__device__ __forceinline__ bool arrive_last(unsigned* counter, int count) {
  const ::cuda::atomic_ref<unsigned, ::cuda::thread_scope_device> arrivals(*counter);
  const auto last = static_cast<unsigned>(count - 1);
  if (arrivals.fetch_add(1, ::cuda::memory_order_acq_rel) != last) return false;
  arrivals.store(0, ::cuda::memory_order_relaxed);
  return true;
}

/// The weight of a lane's part, of which it has maximum and sum, in a total that it belongs to as do those of its
/// neighbours: 32 / kHeads lanes a head. `top`: that total's maximum so far. Totals are scaled to the maximum with
/// these parts, and have their sums.
template <int kHeadDim, int kHeads>
__device__ __forceinline__ float weigh_parts(HeadPart<kHeadDim> (&total)[kHeads], float2 max_sum, float top,
                                             bool weighs) {
  constexpr int kLanes = 32 / kHeads;
  top = fmaxf(max_sum.x, top);
#pragma unroll
  for (int d = 1; d < kLanes; d <<= 1) top = fmaxf(top, __shfl_xor_sync(kAllLanes, top, d));
  const float weight = weighs ? fast_exp2(max_sum.x - top) : 0.0f;
  float sum = weight * max_sum.y;
#pragma unroll
  for (int d = 1; d < kLanes; d <<= 1) sum += __shfl_xor_sync(kAllLanes, sum, d);
#pragma unroll
  for (int h = 0; h < kHeads; ++h) {
    total[h].scale_to(kHeads == 1 ? top : __shfl_sync(kAllLanes, top, h * kLanes));
    total[h].sum += kHeads == 1 ? sum : __shfl_sync(kAllLanes, sum, h * kLanes);
  }
  return weight;
}

/// Adds up `count` parts, of kHeads heads at once, each `next_head` after the one before. Who comes last does this
/// alone while everybody waits, and cold, so it should be few instructions. `Parts` has batch(first), for the parts
/// from `first` on, and of these, for the first head, max_sum(k) and acc(k): the lane's first dimension. A batch
/// has kInFlight vectors of a lane, whose loads are in flight together.
template <int kHeadDim, int kHeads, class Parts>
__device__ __forceinline__ void combine(HeadPart<kHeadDim> (&total)[kHeads], int count, Parts parts, int next_head) {
  using Part = HeadPart<kHeadDim>;
  constexpr int kBatch = Parts::kInFlight / Part::kVectors / kHeads;
  constexpr int kLanes = 32 / kHeads;  // that weigh the parts of one head
  static_assert(kBatch <= kLanes);
  const int own_head = kHeads == 1 ? 0 : lane_id() / kLanes, own_part = kHeads == 1 ? lane_id() : lane_id() % kLanes;
#pragma unroll
  for (int h = 0; h < kHeads; ++h) total[h].clear();
#pragma unroll 1
  for (int first = 0; first < count; first += kBatch) {
    const int left = count - first;
    const bool weighs = own_part < min(kBatch, left);
    parts.batch(first);
    const float2* own = parts.max_sum(own_part);
    float top = kLowest;
#pragma unroll
    for (int h = 0; h < kHeads; ++h) {
      if (h != own_head) continue;
      if (h > 0) own += h * next_head;
      top = total[h].max;
    }
    const float2 max_sum = weighs ? __ldcg(own) : make_float2(kLowest, 0.0f);
    float4 x[kBatch][kHeads][Part::kVectors];
#pragma unroll
    for (int k = 0; k < kBatch; ++k) {
      if (k % 8 == 0 && k >= left) break;
      const float* acc = parts.acc(k);
#pragma unroll
      for (int h = 0; h < kHeads; ++h)
#pragma unroll
        for (int v = 0; v < Part::kVectors; ++v)
          if (Part::mine(v) && k < left)
            x[k][h][v] = __ldcg(reinterpret_cast<const float4*>(acc + h * next_head * kHeadDim + v * 128));
    }
    const float weight = weigh_parts(total, max_sum, top, weighs);
#pragma unroll
    for (int k = 0; k < kBatch; ++k) {
      if (k % 8 == 0 && k >= left) break;
#pragma unroll
      for (int h = 0; h < kHeads; ++h) {
        const float w = __shfl_sync(kAllLanes, weight, h * kLanes + k);
#pragma unroll
        for (int v = 0; v < Part::kVectors; ++v)
          if (Part::mine(v) && k < left) add_scaled(total[h].acc[v], w, x[k][h][v]);
      }
    }
  }
}

}  // namespace pkv::cuda
