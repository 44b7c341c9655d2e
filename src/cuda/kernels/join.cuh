#pragma once

// The end of `stream`: the parts that the warps of a CTA hold of the units that no warp did alone are joined, and what
// other CTAs share goes through the workspace, to be combined by the CTA that comes last. A warp does a head of a unit.
// Where many share a unit, groups of neighbours do so first, and what comes last of its group arrives for it.

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
__device__ __forceinline__ void list_units(const DecodeParams& p, JoinShared& shared, const Place& place,
                                           const Sharers& sharers, int warps) {
  const auto of_lane = [&](int value, int lane) { return __shfl_sync(kAllLanes, value, lane); };
  const int lane = lane_id(), cta = static_cast<int>(blockIdx.x);
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
  const Unit unit = unit_of(p, continued ? first_unit : end.unit);
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

/// Joins one head of a unit: the tail of warp `begins` (-1: none) and the heads of the other warps in `parts`. Every
/// lane reads every weight, all loads are in flight at once, and there is no shuffle: a short step waits for this
/// chain.
template <int kHeadDim, int kWarps>
__device__ __forceinline__ HeadPart<kHeadDim> join_warps(const MaxSums<kWarps>& max_sum, const PartPlaces& places,
                                                         int begins, unsigned parts, int g) {
  using Part = HeadPart<kHeadDim>;
  Part total, part[kWarps];
  total.clear();
  if (begins >= 0) total.load(max_sum[begins][1][g], places.tail(begins) + g * kPartPitch<kHeadDim>);
  const unsigned heads = begins >= 0 ? parts & ~(1u << begins) : parts;
  int first = places.heads + g * kPartPitch<kHeadDim>;
  not_before(first);  // the warps' places differ from it by sums, and are not all found out from the start
#pragma unroll
  for (int w = 0; w < kWarps; ++w)
    if ((heads >> w & 1) != 0) part[w].load(max_sum[w][0][g], places.rings + first + w * places.heads_pitch);
  float max = total.max;
#pragma unroll
  for (int w = 0; w < kWarps; ++w)
    if ((heads >> w & 1) != 0) max = fmaxf(max, part[w].max);
  total.scale_to(max);
#pragma unroll
  for (int w = 0; w < kWarps; ++w)
    if ((heads >> w & 1) != 0) total.add(part[w]);
  return total;
}

/// Joins and writes up to four heads of a unit, from `first` on, part by part. Where a CTA has parts of many units,
/// each has two or three: several heads at once keep as much in flight as join_warps() does, in fewer turns.
template <class T, int kHeadDim>
__device__ __noinline__ void join_four_heads(const DecodeParams& p, const JoinShared& shared, const PartPlaces places,
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

/// Parts of one head of a unit, for combine(), each two slots from the one before: of CTAs in a row, or of groups. The
/// CTA that begins the unit has its part in its other slot.
template <int kHeadDim, int kPitch>
class SharedParts {
 public:
  static constexpr bool kInLoop = false;
  __device__ __forceinline__ SharedParts(const PartialsParams& partials, int slot, bool has_begin, int g)
      : partials_(partials), begin_(std::int64_t{slot} * kPitch + g), of_begin_(has_begin ? kOfBegin : 0) {}
  __device__ __forceinline__ void batch(int first) {
    index_ = begin_ + first * kNext;
    of_first_ = first == 0 ? of_begin_ : 0;
    acc_ = partials_.acc + index_ * kHeadDim + lane_id() * 4;
    not_before(acc_);  // one address, from which the others differ by constants
  }
  [[nodiscard]] __device__ __forceinline__ const float2* max_sum(int k) const {
    return partials_.max_sum + index_ + k * kNext + (k == 0 ? of_first_ : 0);
  }
  [[nodiscard]] __device__ __forceinline__ const float* acc(int k) const {
    return acc_ + k * kNext * kHeadDim + (k == 0 ? of_first_ * kHeadDim : 0);
  }

 private:
  static constexpr int kNext = (arith::partial_slot(1, 1) - arith::partial_slot(0, 1)) * kPitch;
  static constexpr int kOfBegin = (arith::partial_slot(0, 0) - arith::partial_slot(0, 1)) * kPitch;

  const PartialsParams& partials_;
  std::int64_t begin_;
  int of_begin_;
  std::int64_t index_ = 0;
  const float* acc_ = nullptr;
  int of_first_ = 0;
};

/// Combines and writes a head of a shared unit, whose group this warp was the last of; if groups remain, only their
/// last one writes. One piece of code for both, since it is cold.
template <class T, int kHeadDim, int kPitch>
__device__ __forceinline__ void merge_shared(const DecodeParams& p, const JoinUnit& unit, int g) {
  int slot = arith::partial_slot(unit.group.first, 1), count = unit.group.count;
  bool has_begin = unit.group.first == unit.sharers.first, of_group = count < unit.sharers.count;
#pragma unroll 1
  while (true) {
    const HeadPart<kHeadDim> part =
        combine<kHeadDim>(count, SharedParts<kHeadDim, kPitch>(p.partials, slot, has_begin, g));
    if (__builtin_expect(!of_group, 1)) {
      write_head<T>(p, part, unit.row, unit.first_head + g);
      return;
    }
    const int place = MergeGroups::place(unit.sharers);
    const int nth = (unit.group.first - unit.sharers.first) / MergeGroups::kSize;
    publish<kHeadDim>(p.partials, std::int64_t{arith::partial_slot(place + nth, 0)} * kPitch + g, part);
    __syncwarp();
    slot = arith::partial_slot(place, 0);
    count = MergeGroups::count(unit.sharers);
    has_begin = of_group = false;
    if (!__any_sync(kAllLanes, lane_id() == 0 && arrive_last(p.partials.arrivals + g * gridDim.x + place, count)))
      return;
  }
}

/// For the whole CTA, after a barrier. The heads of units that other CTAs share come first, each joined and published
/// by one warp, which then arrives for it and goes on: a counter for each head, so that nothing more is waited for.
template <class T, int kHeadDim, int kBlocks, class Probe>
__device__ __forceinline__ void join_units(const DecodeParams& p, JoinShared& shared, const PartPlaces& places,
                                           Probe& probe) {
  constexpr int kPitch = 8 * kBlocks;
  const int warp = static_cast<int>(threadIdx.x) >> 5, warps = static_cast<int>(blockDim.x) >> 5;
  const int num_shared = shared.num_shared, inner = shared.num_units - num_shared;
  const int shared_items = num_shared * p.heads_per_unit;
  // Of the others, a warp takes a head, or four of them where that would take many turns.
  const bool many = inner * p.heads_per_unit > 2 * warps;
  const int per_unit = many ? (p.heads_per_unit + 3) / 4 : p.heads_per_unit;
  const int items = shared_items + inner * per_unit;
  struct Item {
    int unit;
    int head;
  };
  const auto shared_item = [&](int item) {  // there are two such units at most
    const int unit = item < p.heads_per_unit ? 0 : 1;
    return Item{unit, item - unit * p.heads_per_unit};
  };
  const auto inner_item = [&](int item) {
    const int unit = arith::small_quotient<int>(item, per_unit);
    return Item{num_shared + unit, item - unit * per_unit};
  };
  // What lane i arrives for: the i-th of this warp's heads of shared units.
  const int lanes_item = warp + lane_id() * warps;
  const Item lanes = shared_item(lanes_item);
  bool arrived = false, came_last = false;
#pragma unroll 1
  for (int item = warp;; item += warps) {
    if (item >= shared_items && !arrived) {
      arrived = true;
      probe.stamp(CudaStampKind::kJoined);
      __syncwarp();
      if (lanes_item < shared_items && lanes.head < shared.units[lanes.unit].heads) {
        const Sharers group = shared.units[lanes.unit].group;
        came_last = arrive_last(p.partials.arrivals + lanes.head * gridDim.x + group.first, group.count);
      }
    }
    if (item >= items) break;
    const bool is_shared = item < shared_items;
    const auto [nth, g] = is_shared ? shared_item(item) : inner_item(item - shared_items);
    const JoinUnit& unit = shared.units[nth];
    if (__builtin_expect(many && !is_shared, 0)) {
      join_four_heads<T, kHeadDim>(p, shared, places, unit, 4 * g);
    } else if (g < unit.heads) {
      const HeadPart<kHeadDim> part = join_warps<kHeadDim>(shared.max_sum, places, unit.begins, unit.parts, g);
      if (is_shared) {
        publish<kHeadDim>(p.partials, std::int64_t{unit.slot} * kPitch + g, part);
      } else {
        write_head<T>(p, part, unit.row, unit.first_head + g);
      }
    }
  }

  unsigned last = __ballot_sync(kAllLanes, came_last);
#pragma unroll 1
  for (; last != 0; last &= last - 1) {
    const auto [nth, g] = shared_item(warp + (__ffs(static_cast<int>(last)) - 1) * warps);
    merge_shared<T, kHeadDim, kPitch>(p, shared.units[nth], g);
    if constexpr (Probe::kStamps) probe.stamp(CudaStampKind::kMerged);
  }
}

}  // namespace pkv::cuda
