#pragma once

// The end of `stream`: the parts that the warps of a CTA hold of the units that no warp did alone are joined, and what
// other CTAs share goes through the workspace, to be combined by the CTA that comes last. A warp does a head of a unit.

#include "partials.cuh"
#include "stream_plan.cuh"

namespace pkv::cuda {

inline constexpr int kMaxHeadsPerUnit = 16;

struct JoinShared {
  Place ends[kMaxWarps + 1];  // warp w's run is [ends[w], ends[w + 1])
  Sharers sharers[2];         // of the unit that the CTA's run continues, and of the one that it leaves; count 0: none
  float2 max_sum[kMaxWarps][2][kMaxHeadsPerUnit];  // [..][0]: head, [1]: tail
  bool came_last[2];                               // for these two units
};

/// What the warps' runs leave to be joined, a bit for each warp. Runs are contiguous, so no warp has more than a part
/// of the unit that an earlier warp began (head) and one of the unit that it begins itself and leaves to later ones
/// (tail).
struct WarpParts {
  unsigned heads;
  unsigned tails;

  __device__ __forceinline__ WarpParts(const JoinShared& shared, int warps) {
    const int warp = min(lane_id(), warps - 1);
    const Place a = shared.ends[warp], b = shared.ends[warp + 1];
    const bool one_unit = a.row == b.row && a.unit == b.unit;
    const bool mine = lane_id() < warps && !(one_unit && a.token == b.token);
    heads = __ballot_sync(kAllLanes, mine && a.token > 0);
    tails = __ballot_sync(kAllLanes, mine && b.token > 0 && !(one_unit && a.token > 0));
  }
  /// Heads before the first tail, and those of that tail's warp: parts of the unit that an earlier CTA began.
  [[nodiscard]] __device__ __forceinline__ unsigned from_before() const { return heads & through_first(tails); }
  /// The later parts of the unit whose tail is the first of `rest`.
  [[nodiscard]] __device__ __forceinline__ unsigned after(unsigned rest) const {
    return heads & ~through_first(rest) & through_first(rest & (rest - 1));
  }

 private:
  __device__ __forceinline__ static unsigned through_first(unsigned bits) { return bits ^ (bits - 1); }
};

/// Where the parts' accumulators are: heads in a place of their own, tails in the warp's ring, which is empty by then.
struct PartPlaces {
  unsigned char* rings;
  int ring_bytes;
  float* heads;
  int heads_pitch;  // floats of a warp's

  __device__ float* at(int warp, bool tail) const {
    return tail ? reinterpret_cast<float*>(rings + warp * ring_bytes) : heads + warp * heads_pitch;
  }
};

/// Joins one head of a unit: the tail of warp `start` (-1: none) and the heads of the warps in `members`. Every lane
/// reads every weight, all loads are in flight at once, and there is no shuffle: a short step waits for this chain.
template <int kHeadDim>
__device__ __forceinline__ HeadPart<kHeadDim> join_warps(const JoinShared& shared, const PartPlaces& places, int start,
                                                         unsigned members, int g) {
  using Part = HeadPart<kHeadDim>;
  const unsigned all = members | (start >= 0 ? 1u << start : 0u);
  float2 max_sum[kMaxWarps];
  float4 acc[kMaxWarps][Part::kVectors];
#pragma unroll
  for (int w = 0; w < kMaxWarps; ++w) {
    const bool member = (all >> w & 1) != 0;
    max_sum[w] = member ? shared.max_sum[w][w == start][g] : make_float2(kLowest, 0.0f);
    const float* from = places.at(w, w == start) + g * kPartPitch<kHeadDim>;
#pragma unroll
    for (int v = 0; v < Part::kVectors; ++v)
      acc[w][v] = member && Part::mine(v) ? *reinterpret_cast<const float4*>(from + Part::dim(v))
                                          : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
  }
  Part total;
  total.clear();
#pragma unroll
  for (int w = 0; w < kMaxWarps; ++w) total.max = fmaxf(total.max, max_sum[w].x);
#pragma unroll
  for (int w = 0; w < kMaxWarps; ++w) {
    const float weight = fast_exp2(max_sum[w].x - total.max);
    total.sum += weight * max_sum[w].y;
#pragma unroll
    for (int v = 0; v < Part::kVectors; ++v) add_scaled(total.acc[v], weight, acc[w][v]);
  }
  return total;
}

/// A head of a unit, to memory, or to `slot` of the workspace where other CTAs have parts of the unit (-1: they have
/// none).
template <class T, int kHeadDim, int kPitch>
__device__ __forceinline__ void deliver(const DecodeParams& p, std::int32_t slot, int row, int first_head, int g,
                                        const HeadPart<kHeadDim>& part) {
  if (slot >= 0) {
    publish<kHeadDim>(p.partials, std::int64_t{slot} * kPitch + g, part);
  } else {
    write_head<T>(p, part, row, first_head + g);
  }
}

/// Joins and delivers up to four heads of a unit, from `first` on, part by part. Where a CTA has parts of many units,
/// each has two or three: several heads at once keep as much in flight as join_warps() does, in fewer turns.
template <class T, int kHeadDim, int kPitch>
__device__ __noinline__ void join_four_heads(const DecodeParams& p, const JoinShared& shared, const PartPlaces places,
                                             int start, unsigned parts, int first, std::int32_t slot, int row,
                                             int first_head, int heads) {
  using Part = HeadPart<kHeadDim>;
  constexpr int kHeads = 4;
  Part total[kHeads];
#pragma unroll
  for (int k = 0; k < kHeads; ++k) total[k].clear();
#pragma unroll 1
  for (unsigned rest = parts; rest != 0; rest &= rest - 1) {
    const int w = __ffs(static_cast<int>(rest)) - 1;
    const float* from = places.at(w, w == start);
    float2 max_sum[kHeads];
    float4 acc[kHeads][Part::kVectors];
#pragma unroll
    for (int k = 0; k < kHeads; ++k) {
      const int g = min(first + k, heads - 1);
      max_sum[k] = shared.max_sum[w][w == start][g];
#pragma unroll
      for (int v = 0; v < Part::kVectors; ++v)
        if (Part::mine(v)) acc[k][v] = *reinterpret_cast<const float4*>(from + g * kPartPitch<kHeadDim> + Part::dim(v));
    }
#pragma unroll
    for (int k = 0; k < kHeads; ++k) {
      const float max = fmaxf(total[k].max, max_sum[k].x);
      const float factor = fast_exp2(total[k].max - max), weight = fast_exp2(max_sum[k].x - max);
      total[k].max = max;
      total[k].sum = total[k].sum * factor + weight * max_sum[k].y;
#pragma unroll
      for (int v = 0; v < Part::kVectors; ++v) {
        if (!Part::mine(v)) continue;
        const float4 a = total[k].acc[v];
        total[k].acc[v] = make_float4(a.x * factor, a.y * factor, a.z * factor, a.w * factor);
        add_scaled(total[k].acc[v], weight, acc[k][v]);
      }
    }
  }
#pragma unroll
  for (int k = 0; k < kHeads; ++k)
    if (first + k < heads) deliver<T, kHeadDim, kPitch>(p, slot, row, first_head, first + k, total[k]);
}

/// For the whole CTA, after a barrier.
template <class T, int kHeadDim, int kBlocks, class Probe>
__device__ __forceinline__ void join_units(const DecodeParams& p, JoinShared& shared, const PartPlaces& places,
                                           Probe& probe) {
  constexpr int kPitch = 8 * kBlocks;
  const int warp = static_cast<int>(threadIdx.x) >> 5, warps = static_cast<int>(blockDim.x) >> 5;
  const int cta = static_cast<int>(blockIdx.x);
  const WarpParts parts(shared, warps);
  const unsigned from_before = shared.sharers[0].count > 0 ? parts.from_before() : 0u;
  const int last_tail = 31 - __clz(static_cast<int>(parts.tails));
  const bool leaves = shared.sharers[1].count > 0 && shared.sharers[1].first == cta;
  // The units in turn: first the one that an earlier CTA began, then one for each tail; a warp a head, or four of them
  // where that would take many turns.
  const int before = from_before != 0 ? 1 : 0, units = before + __popc(parts.tails);
  const bool many = units * p.heads_per_unit > 2 * warps;
  const int per_unit = many ? (p.heads_per_unit + 3) / 4 : p.heads_per_unit;
#pragma unroll 1
  for (int item = warp; item < units * per_unit; item += warps) {
    const int nth = arith::small_quotient<int>(item, per_unit), g = item - nth * per_unit;
    const bool continued = nth < before;
    unsigned rest = parts.tails;
    for (int skip = nth - before; skip > 0; --skip) rest &= rest - 1;
    const int start = continued ? -1 : __ffs(static_cast<int>(rest)) - 1;
    const unsigned members = continued ? from_before : parts.after(rest);
    const Place at = shared.ends[continued ? 0 : start + 1];
    const bool goes_on = continued || (start == last_tail && leaves);
    const std::int32_t slot = goes_on ? arith::partial_slot(cta, continued ? 1 : 0) : -1;
    const Unit unit = unit_of(p, at.unit);
    if (__builtin_expect(many, 0)) {
      join_four_heads<T, kHeadDim, kPitch>(p, shared, places, start, members | (start >= 0 ? 1u << start : 0u), 4 * g,
                                           slot, at.row, unit.first_head, unit.heads);
    } else if (g < unit.heads) {
      deliver<T, kHeadDim, kPitch>(p, slot, at.row, unit.first_head, g,
                                   join_warps<kHeadDim>(shared, places, start, members, g));
    }
  }

  // What is shared with other CTAs: the unit that this one continues, and the one that it leaves.
  probe.stamp(CudaStampKind::kJoined);
  if (from_before == 0 && !leaves) return;
  __syncthreads();
  if (threadIdx.x < 2) {
    const Sharers sharers = shared.sharers[threadIdx.x];
    shared.came_last[threadIdx.x] = (threadIdx.x == 0 ? from_before != 0 : leaves) &&
                                    arrive_last(p.partials.arrivals + sharers.first, sharers.count);
  }
  __syncthreads();
  // Who comes last for one of them often does for both, being late: they go side by side.
#pragma unroll 1
  for (int item = warp; item < 2 * p.heads_per_unit; item += warps) {
    const int which = item < p.heads_per_unit ? 0 : 1, g = item - which * p.heads_per_unit;
    const Place at = shared.ends[which == 0 ? 0 : warps];
    const Unit unit = unit_of(p, at.unit);
    if (!shared.came_last[which] || g >= unit.heads) continue;
    const Sharers sharers = shared.sharers[which];
    const HeadPart<kHeadDim> part = combine<kHeadDim>(p.partials, sharers.count, [&](int i) {
      return std::int64_t{arith::partial_slot(sharers.first + i, i)} * kPitch + g;
    });
    write_head<T>(p, part, at.row, unit.first_head + g);
  }
  if constexpr (Probe::kStamps)
    if (shared.came_last[0] || shared.came_last[1]) probe.stamp(CudaStampKind::kMerged);
}

}  // namespace pkv::cuda
