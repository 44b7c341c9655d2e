#pragma once

// The end of `stream`: the parts that the warps of a CTA hold of the units that no warp did alone are joined, and what
// other CTAs share goes through the workspace. A warp does a head of a unit from beginning to end, so that there is no
// barrier after the first, and merges of different heads fall to whichever CTA came last for that head.

#include "partials.cuh"
#include "stream_plan.cuh"

namespace pkv::cuda {

inline constexpr int kMaxHeadsPerUnit = 16;

/// What a warp's run leaves to be joined. Runs are contiguous, so no warp has more than a part of the unit that an
/// earlier warp began (head) and one of the unit that it begins itself and leaves to later ones (tail).
struct WarpParts {
  bool has_head;
  bool has_tail;
  int tail_row;
  int tail_unit;
};

struct JoinShared {
  WarpParts parts[kMaxWarps];
  float2 max_sum[kMaxWarps][2][kMaxHeadsPerUnit];  // [..][0]: head, [1]: tail
  int head_row;                                    // the unit that an earlier CTA began
  int head_unit;
  Sharers head_sharers;
  Sharers tail_sharers;  // of the unit that this CTA begins and leaves; count 0: there is none
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

/// Joins one head of a unit: the tail of warp `start` (-1: none) and the heads of the warps in `members`.
template <int kHeadDim>
__device__ __forceinline__ HeadPart<kHeadDim> join_warps(const JoinShared& shared, const PartPlaces& places, int start,
                                                         unsigned members, int g) {
  using Part = HeadPart<kHeadDim>;
  float2 max_sum[kMaxWarps];
  Part total;
  total.max = kLowest;
  total.sum = 0.0f;
#pragma unroll
  for (int v = 0; v < Part::kVectors; ++v) total.acc[v] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
#pragma unroll
  for (int w = 0; w < kMaxWarps; ++w) {
    const bool member = w == start || (members >> w & 1) != 0;
    max_sum[w] = member ? shared.max_sum[w][w == start][g] : make_float2(kLowest, 0.0f);
    total.max = fmaxf(total.max, max_sum[w].x);
  }
#pragma unroll
  for (int w = 0; w < kMaxWarps; ++w) {
    if (w != start && (members >> w & 1) == 0) continue;
    const float weight = fast_exp2(max_sum[w].x - total.max);
    const float* acc = places.at(w, w == start) + g * kPartPitch<kHeadDim>;
    total.sum += weight * max_sum[w].y;
#pragma unroll
    for (int v = 0; v < Part::kVectors; ++v)
      if (Part::mine(v)) add_scaled(total.acc[v], weight, *reinterpret_cast<const float4*>(acc + Part::dim(v)));
  }
  return total;
}

/// For the whole CTA, after a barrier.
template <class T, int kHeadDim>
__device__ __forceinline__ void join_units(const DecodeParams& p, const JoinShared& shared, const PartPlaces& places) {
  const int warp = static_cast<int>(threadIdx.x) >> 5, warps = static_cast<int>(blockDim.x) >> 5;
  const int cta = static_cast<int>(blockIdx.x);
  const int mine = min(lane_id(), warps - 1);
  const unsigned heads = __ballot_sync(kAllLanes, lane_id() < warps && shared.parts[mine].has_head);
  const unsigned tails = __ballot_sync(kAllLanes, lane_id() < warps && shared.parts[mine].has_tail);
  // A unit's later parts are heads, up to the one of the warp that begins the next tail.
  const auto through_next_tail = [&](unsigned later_tails) {
    return later_tails == 0 ? kAllLanes : (2u << (__ffs(static_cast<int>(later_tails)) - 1)) - 1;
  };
  const unsigned from_before = heads & through_next_tail(tails) & (shared.head_sharers.count > 0 ? kAllLanes : 0u);
  const int before = from_before != 0 ? 1 : 0;
  const int joins = before + __popc(tails);
  for (int item = warp; item < joins * p.heads_per_unit; item += warps) {
    const int join = item / p.heads_per_unit, g = item - join * p.heads_per_unit;
    int start = -1, row = shared.head_row, unit_index = shared.head_unit;
    unsigned members = from_before;
    Sharers sharers = shared.head_sharers;
    if (join >= before) {
      unsigned rest = tails;
      for (int skip = join - before; skip > 0; --skip) rest &= rest - 1;
      start = __ffs(static_cast<int>(rest)) - 1;
      rest &= rest - 1;
      members = heads & through_next_tail(rest) & ~((2u << start) - 1);
      row = shared.parts[start].tail_row;
      unit_index = shared.parts[start].tail_unit;
      sharers = rest == 0 ? shared.tail_sharers : Sharers{cta, 0};
    }
    const Unit unit = unit_of(p, unit_index);
    if (g >= unit.heads) continue;
    HeadPart<kHeadDim> part = join_warps<kHeadDim>(shared, places, start, members, g);
    if (sharers.count > 1) {
      const auto index_of = [&](int i) {
        return std::int64_t{arith::partial_slot(sharers.first + i, i)} * p.heads_per_unit + g;
      };
      publish<kHeadDim>(p.partials, index_of(cta - sharers.first), part);
      if (!arrive_last(p.partials.arrivals + sharers.first * p.heads_per_unit + g, sharers.count)) continue;
      part = combine<kHeadDim>(p.partials, sharers.count, index_of);
    }
    const std::int64_t out_row = tensor_row(p.out, row, p.step.errors);
    if (out_row >= 0) write_head<T>(p, part, out_row, unit.first_head + g);
  }
}

}  // namespace pkv::cuda
