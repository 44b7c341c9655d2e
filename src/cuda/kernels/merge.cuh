#pragma once

// What several CTAs have parts of: combined by the CTA that comes last. Where many share a unit, groups of neighbours
// do so first, and what comes last of its group arrives for it.

#include "shared_units.cuh"

namespace pkv::cuda {

/// Parts of one head of a unit, for combine(), each two slots from the one before: of CTAs in a row, or of groups. The
/// CTA that begins the unit has its part in its other slot.
template <int kHeadDim, int kPitch>
class SharedParts {
 public:
  static constexpr int kInFlight = 32;
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

/// A head of one of the units to be joined.
struct UnitHead {
  int unit;
  int head;
};

/// The heads of a CTA's shared units, of which there are two at most, as its warps take them in turn.
struct SharedHeads {
  int heads_per_unit;
  int warp;
  int warps;

  __device__ __forceinline__ UnitHead at(int item) const {
    const int unit = item < heads_per_unit ? 0 : 1;
    return {unit, item - unit * heads_per_unit};
  }
  /// This warp's.
  __device__ __forceinline__ UnitHead nth(int i) const { return at(warp + i * warps); }
};

/// Combines and writes heads of shared units, for which, or for whose group, this warp came last: lane i tells of its
/// i-th. What groups add up to is combined in a second turn, by who comes last for it: the same code, since it is cold.
/// Two blocks of heads are combined two heads at a time, which are neighbours of one warp.
template <class T, int kHeadDim, int kBlocks, class Params, class Probe>
__device__ __forceinline__ void merge_shared(const Params& p, const JoinShared& shared, const SharedHeads& heads,
                                             bool came_last, Probe& probe) {
  constexpr int kPitch = 8 * kBlocks;
  bool of_groups = false;
  unsigned todo = __ballot_sync(kAllLanes, came_last);
#pragma unroll 1
  while (todo != 0) {
    unsigned grouped = 0;
#pragma unroll 1
    do {
      const int first = __ffs(static_cast<int>(todo)) - 1;
      const auto [nth, g] = heads.nth(first);
      const JoinUnit& unit = shared.units[nth];
      const bool two = kBlocks > 1 && (todo >> first & 2) != 0 && g + heads.warps < unit.heads;
      const unsigned taken = (two ? 3u : 1u) << first;
      todo &= ~taken;
      int slot = arith::partial_slot(unit.group.first, 1), count = unit.group.count;
      bool has_begin = unit.group.first == unit.sharers.first, in_group = count < unit.sharers.count;
      if (__builtin_expect(of_groups, 0)) {
        slot = arith::partial_slot(MergeGroups::place(unit.sharers), 0);
        count = MergeGroups::count(unit.sharers);
        has_begin = in_group = false;
      }
      HeadPart<kHeadDim> part[kBlocks];
      combine<kHeadDim>(part, count, SharedParts<kHeadDim, kPitch>(p.partials, slot, has_begin, g),
                        two ? heads.warps : 0);
      if (__builtin_expect(in_group, 0)) grouped |= taken;
#pragma unroll
      for (int h = 0; h < kBlocks; ++h) {
        if (h > 0 && !two) continue;
        const int head = h == 0 ? g : g + heads.warps;
        if (__builtin_expect(in_group, 0)) {
          const int nth_group = (unit.group.first - unit.sharers.first) / MergeGroups::kSize;
          const int to = arith::partial_slot(MergeGroups::place(unit.sharers) + nth_group, 0);
          publish<kHeadDim>(p.partials, std::int64_t{to} * kPitch + head, part[h]);
        } else {
          write_head<T>(p, part[h], unit.row, unit.first_head + head);
        }
      }
      if constexpr (Probe::kStamps) probe.stamp(CudaStampKind::kMerged);
    } while (todo != 0);
    if (__builtin_expect(grouped == 0, 1)) return;
    __syncwarp();
    of_groups = true;
    came_last = false;
    if ((grouped >> lane_id() & 1) != 0) {
      const auto [nth, g] = heads.nth(lane_id());
      const Sharers all = shared.units[nth].sharers;
      came_last = arrive_last(p.partials.arrivals + g * gridDim.x + MergeGroups::place(all), MergeGroups::count(all));
    }
    todo = __ballot_sync(kAllLanes, came_last);
  }
}

}  // namespace pkv::cuda
