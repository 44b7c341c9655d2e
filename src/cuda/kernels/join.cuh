#pragma once

// The end of `stream`: the parts that the warps of a CTA hold of the units that no warp did alone are joined, and what
// other CTAs share goes through the workspace, to be combined by the CTA that comes last. A warp does a head of a unit
// at a time, or two where there are more than 8.

#include "merge.cuh"

namespace pkv::cuda {

/// Where the parts' accumulators are: heads in a place of their own, tails in the warp's ring, which is empty by then.
/// All in floats.
struct PartPlaces {
  float* rings;
  int ring_pitch;  // of a warp's
  int heads;       // from the rings' beginning
  int heads_pitch;

  __device__ __forceinline__ float* head(int warp) const { return rings + heads + warp * heads_pitch; }
  __device__ __forceinline__ float* tail(int warp) const { return rings + warp * ring_pitch; }
};

/// Joins heads g, g + next_head, ... of a unit, kHeads of them (in place of those past the last one, the last one): the
/// tails of warp `begins` (-1: none) and the heads of the other warps in `parts`. Every lane reads every weight, all
/// loads are in flight at once, and there is no shuffle: a short step waits for this chain.
template <int kHeadDim, int kWarps, int kHeads>
__device__ __forceinline__ void join_warps(HeadPart<kHeadDim> (&total)[kHeads], const MaxSums<kWarps>& max_sum,
                                           const PartPlaces& places, int begins, unsigned parts, int g, int next_head,
                                           int last_head) {
  HeadPart<kHeadDim> part[kHeads][kWarps];
  const unsigned heads = begins >= 0 ? parts & ~(1u << begins) : parts;
#pragma unroll
  for (int h = 0; h < kHeads; ++h) {
    const int head = h == 0 ? g : min(g + h * next_head, last_head);
    int first = places.heads + head * kPartPitch<kHeadDim>;
    not_before(first);  // the warps' places differ from it by sums, and are not all found out from the start
    total[h].clear();
    if (begins >= 0) total[h].load(max_sum[begins][1][head], places.tail(begins) + head * kPartPitch<kHeadDim>);
#pragma unroll
    for (int w = 0; w < kWarps; ++w)
      if ((heads >> w & 1) != 0) part[h][w].load(max_sum[w][0][head], places.rings + first + w * places.heads_pitch);
  }
#pragma unroll
  for (int h = 0; h < kHeads; ++h) {
    float max = total[h].max;
#pragma unroll
    for (int w = 0; w < kWarps; ++w)
      if ((heads >> w & 1) != 0) max = fmaxf(max, part[h][w].max);
    total[h].scale_to(max);
#pragma unroll
    for (int w = 0; w < kWarps; ++w)
      if ((heads >> w & 1) != 0) total[h].add(part[h][w]);
  }
}

/// Joins and writes up to four heads of a unit, from `first` on, part by part. Where a CTA has parts of many units,
/// each has two or three: several heads at once keep as much in flight as join_warps() does, in fewer turns.
template <class T, int kHeadDim, class Params>
__device__ __noinline__ void join_four_heads(const Params& p, const JoinShared& shared, const PartPlaces places,
                                             const JoinUnit& unit, int first) {
  using Part = HeadPart<kHeadDim>;
  constexpr int kHeads = 4;
  Part total[kHeads];
#pragma unroll
  for (int k = 0; k < kHeads; ++k) total[k].clear();
#pragma unroll 1
  for (unsigned rest = unit.parts; rest != 0; rest &= rest - 1) {
    const int w = __ffs(static_cast<int>(rest)) - 1;
    const float* from = w == unit.begins ? places.tail(w) : places.head(w);
    Part part[kHeads];
#pragma unroll
    for (int k = 0; k < kHeads; ++k) {
      const int g = min(first + k, unit.heads - 1);
      part[k].load(shared.max_sum[w][w == unit.begins][g], from + g * kPartPitch<kHeadDim>);
    }
#pragma unroll
    for (int k = 0; k < kHeads; ++k) {
      total[k].scale_to(fmaxf(total[k].max, part[k].max));
      total[k].add(part[k]);
    }
  }
#pragma unroll
  for (int k = 0; k < kHeads; ++k)
    if (first + k < unit.heads) write_head<T>(p, total[k], unit.row, unit.first_head + first + k);
}

/// For the whole CTA, after a barrier. The heads of units that other CTAs share come first, each joined and published
/// by one warp, which then arrives for it and goes on: a counter for each head, so that nothing more is waited for.
template <class T, int kHeadDim, int kBlocks, class Params, class Probe>
__device__ __forceinline__ void join_units(const Params& p, int heads_per_unit, JoinShared& shared,
                                           const PartPlaces& places, Probe& probe) {
  constexpr int kPitch = 8 * kBlocks;
  const int warp = static_cast<int>(threadIdx.x) >> 5, warps = static_cast<int>(blockDim.x) >> 5;
  const int num_shared = shared.num_shared, inner = shared.num_units - num_shared;
  const int shared_items = num_shared * heads_per_unit;
  // Of the others, a warp takes a head, or four of them where that would take many turns.
  const bool many = inner * heads_per_unit > 2 * warps;
  const int per_unit = many ? (heads_per_unit + 3) / 4 : heads_per_unit;
  const int items = shared_items + inner * per_unit;
  const SharedHeads heads{heads_per_unit, warp, warps};
  const auto inner_item = [&](int item) {
    const int unit = arith::small_quotient<int>(item, per_unit);
    return UnitHead{num_shared + unit, item - unit * per_unit};
  };
  // What lane i arrives for: the i-th of this warp's heads of shared units.
  const auto [lanes_unit, lanes_head] = heads.nth(lane_id());
  bool arrived = false, came_last = false;
#pragma unroll 1
  for (int item = warp;; item += warps) {
    if (item >= shared_items && !arrived) {
      arrived = true;
      probe.stamp(CudaStampKind::kJoined);
      __syncwarp();
      if (lanes_unit < num_shared && lanes_head < shared.units[lanes_unit].heads) {
        const Sharers group = shared.units[lanes_unit].group;
        came_last = arrive_last(p.partials.arrivals + lanes_head * gridDim.x + group.first, group.count);
      }
    }
    if (item >= items) break;
    const bool is_shared = item < shared_items;
    const auto [nth, g] = is_shared ? heads.at(item) : inner_item(item - shared_items);
    const JoinUnit& unit = shared.units[nth];
    if (__builtin_expect(many && !is_shared, 0)) {
      join_four_heads<T, kHeadDim>(p, shared, places, unit, 4 * g);
    } else if (g < unit.heads) {
      HeadPart<kHeadDim> part[kBlocks];
      join_warps<kHeadDim>(part, shared.max_sum, places, unit.begins, unit.parts, g, warps, unit.heads - 1);
#pragma unroll
      for (int h = 0; h < kBlocks; ++h) {
        const int head = g + h * warps;
        if (h > 0 && head >= unit.heads) break;
        if (h > 0) item += warps;
        if (is_shared) {
          publish<kHeadDim>(p.partials, std::int64_t{unit.slot} * kPitch + head, part[h]);
        } else {
          write_head<T>(p, part[h], unit.row, unit.first_head + head);
        }
      }
    }
  }
  merge_shared<T, kHeadDim, kBlocks>(p, shared, heads, came_last, probe);
}

}  // namespace pkv::cuda
