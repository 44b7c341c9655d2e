#pragma once

// The end of `stream`: the parts that the warps of a CTA hold of the units that no warp did alone are joined, and what
// other CTAs share goes through the workspace, to be combined by the CTA that comes last. A warp does a head of a unit.

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
  bool came_last[2];     // for these two units
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
__device__ __forceinline__ void join_units(const DecodeParams& p, JoinShared& shared, const PartPlaces& places) {
  const int warp = static_cast<int>(threadIdx.x) >> 5, warps = static_cast<int>(blockDim.x) >> 5;
  const int cta = static_cast<int>(blockIdx.x);
  const WarpParts mine = shared.parts[min(lane_id(), warps - 1)];
  const unsigned heads = __ballot_sync(kAllLanes, lane_id() < warps && mine.has_head);
  const unsigned tails = __ballot_sync(kAllLanes, lane_id() < warps && mine.has_tail);
  // A unit's later parts are heads, up to the one of the warp that begins the next tail.
  const auto through_next_tail = [](unsigned later_tails) {
    return later_tails == 0 ? kAllLanes : (2u << (__ffs(static_cast<int>(later_tails)) - 1)) - 1;
  };
  const auto index_of = [&](const Sharers& sharers, int i, int g) {
    return std::int64_t{arith::partial_slot(sharers.first + i, i)} * p.heads_per_unit + g;
  };
  const auto write = [&](const HeadPart<kHeadDim>& part, int row, const Unit& unit, int g) {
    const std::int64_t out_row = tensor_row(p.out, row, p.step.errors);
    if (out_row >= 0) write_head<T>(p, part, out_row, unit.first_head + g);
  };
  const unsigned from_before = shared.head_sharers.count > 0 ? heads & through_next_tail(tails) : 0u;
  const int before = from_before != 0 ? 1 : 0;
  const int items = (before + __popc(tails)) * p.heads_per_unit;
#pragma unroll 1
  for (int item = warp; item < items; item += warps) {
    const int join = static_cast<int>(arith::small_quotient(item, p.heads_per_unit)),
              g = item - join * p.heads_per_unit;
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
    const HeadPart<kHeadDim> part = join_warps<kHeadDim>(shared, places, start, members, g);
    if (sharers.count > 1) {
      publish<kHeadDim>(p.partials, index_of(sharers, cta - sharers.first, g), part);
    } else {
      write(part, row, unit, g);
    }
  }

  // Of the units that this CTA shares with others: the one that it continues, and the one that it leaves.
  const bool continued = before != 0 && shared.head_sharers.count > 1, left = shared.tail_sharers.count > 1;
  if (!continued && !left) return;
  __syncthreads();
  if (threadIdx.x < 2) {
    const Sharers sharers = threadIdx.x == 0 ? shared.head_sharers : shared.tail_sharers;
    shared.came_last[threadIdx.x] =
        (threadIdx.x == 0 ? continued : left) && arrive_last(p.partials.arrivals + sharers.first, sharers.count);
  }
  __syncthreads();
#pragma unroll 1
  for (int which = 0; which < 2; ++which) {
    if (!shared.came_last[which]) continue;
    const Sharers sharers = which == 0 ? shared.head_sharers : shared.tail_sharers;
    const int last_tail = 31 - __clz(static_cast<int>(tails));
    const int row = which == 0 ? shared.head_row : shared.parts[last_tail].tail_row;
    const Unit unit = unit_of(p, which == 0 ? shared.head_unit : shared.parts[last_tail].tail_unit);
    for (int g = warp; g < unit.heads; g += warps)
      write(combine<kHeadDim>(p.partials, sharers.count, [&](int i) { return index_of(sharers, i, g); }), row, unit, g);
  }
}

}  // namespace pkv::cuda
