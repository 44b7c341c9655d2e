#pragma once

// The units whose parts a CTA must join, since no warp did them alone: listed by one warp, before they are there.

#include "partials.cuh"
#include "wide_plan.cuh"

namespace pkv::cuda {

/// Of more CTAs than kAtOnce, the last would read too much by itself: 65 parts of 8 KB with 16 heads. A group counts at
/// its first CTA, all groups together at the one after the unit's first: neither is the last one, which may begin
/// another unit. For that, a last group is never one CTA alone.
struct MergeGroups {
  static constexpr int kAtOnce = 32, kSize = 8;

  __device__ __forceinline__ static int count(const Sharers& all) { return (all.count + kSize - 2) / kSize; }
  __device__ __forceinline__ static Sharers of(int cta, const Sharers& all) {
    if (all.count <= kAtOnce) return all;
    const int last = count(all) - 1, nth = min((cta - all.first) / kSize, last);
    return {all.first + nth * kSize, nth < last ? kSize : all.count - nth * kSize};
  }
  /// The CTA whose counter and whose slots, from there on, are the groups' own: CTAs in the middle of a unit begin
  /// none, and leave both unused.
  __device__ __forceinline__ static int place(const Sharers& all) { return all.first + 1; }
};

/// A unit whose parts are joined: warps of this CTA have several, or other CTAs have some.
struct alignas(16) JoinUnit {
  int row;
  int first_head;
  int heads;
  unsigned parts;   // a bit for each warp that has one
  int begins;       // the warp that begins the unit: its part is a tail, all others are heads; -1: an earlier CTA's
  Sharers sharers;  // the CTAs, if there are others
  Sharers group;    // those of them whose parts are added up first; all where they are few
  int slot;         // of this CTA's part in the workspace
};

/// Of each warp's parts, maximum and sum; [..][0]: head, [1]: tail.
template <int kWarps>
using MaxSums = float2[kWarps][2][kMaxHeadsPerUnit];

/// Runs are contiguous, so no warp has more than a part of the unit that an earlier warp began (head) and one of the
/// unit that it begins itself and leaves to later ones (tail).
struct JoinShared {
  int num_shared;  // of the units, those that other CTAs have parts of too: they come first
  int num_units;
  JoinUnit units[kMaxWarps + 1];
  MaxSums<kMaxWarps> max_sum;
};

/// Lists the units to be joined; by one warp, while its first loads are under way. Lane w of `place` is where the run
/// of warp w begins; of lanes 0 and `warps` come the sharers of the units that the CTA's run continues and leaves.
/// `cta` is this one among those that share units with each other.
template <class HeadCut, class Params>
__device__ __forceinline__ void list_units(const Params& p, JoinShared& shared, const Place& place,
                                           const Sharers& sharers, int warps, int cta) {
  const auto of_lane = [&](int value, int lane) { return __shfl_sync(kAllLanes, value, lane); };
  const int lane = lane_id();
  const Place end{of_lane(place.row, lane + 1), of_lane(place.unit, lane + 1), of_lane(place.token, lane + 1), 0};
  const bool one_unit = place.row == end.row && place.unit == end.unit;
  const bool has_run = lane < warps && !(one_unit && place.token == end.token);
  const unsigned heads = __ballot_sync(kAllLanes, has_run && place.token > 0);
  const unsigned tails = __ballot_sync(kAllLanes, has_run && end.token > 0 && !(one_unit && place.token > 0));

  const auto through_first = [](unsigned bits) { return bits ^ (bits - 1); };
  const Sharers before{of_lane(sharers.first, 0), of_lane(sharers.count, 0)};
  const Sharers after{of_lane(sharers.first, warps), of_lane(sharers.count, warps)};
  const unsigned from_before = before.count > 0 ? heads & through_first(tails) : 0u;
  const bool continues = from_before != 0, leaves = after.count > 0 && after.first == cta;
  const int num_shared = (continues ? 1 : 0) + (leaves ? 1 : 0);
  if (lane == 0) {
    shared.num_shared = num_shared;
    shared.num_units = (continues ? 1 : 0) + __popc(tails);
  }

  // A lane for each tail, and the last one, which has no warp, for the unit that an earlier CTA began.
  static_assert(kMaxWarps < 31);
  const bool continued = lane == 31, leaving = leaves && (tails & ~through_first(1u << lane)) == 0;
  const int first_row = of_lane(place.row, 0), first_unit = of_lane(place.unit, 0);
  if (continued ? !continues : (tails >> lane & 1) == 0) return;
  const unsigned later = tails & (~1u << lane);
  const Unit unit = HeadCut::unit(p, continued ? first_unit : end.unit);
  JoinUnit joined{continued ? first_row : end.row, unit.first_head, unit.heads, from_before, -1, before, {}, 0};
  if (!continued) {
    joined.parts = 1u << lane | (heads & (~1u << lane) & through_first(later));
    joined.begins = lane;
    joined.sharers = after;
  }
  joined.group = MergeGroups::of(cta, joined.sharers);
  joined.slot = arith::partial_slot(cta, continued ? 1 : 0);
  const int inner = num_shared + __popc(tails & ~(~0u << lane));
  shared.units[continued ? 0 : leaving ? num_shared - 1 : inner] = joined;
}

}  // namespace pkv::cuda
