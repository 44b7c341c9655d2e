#pragma once

// Plans that most steps do not make: in 64 bits, or in an earlier layer.

#include "stream_plan.cuh"

namespace pkv::cuda {

/// What a warp has of a plan.
struct WarpPlan {
  Place place;  // of this lane: where the run of warp `lane` begins
  bool has_empty_rows;
  Sharers rare_sharers;  // of a rare plan; else they are found out while the first loads are under way
};

/// For further layers, by one warp. A CTA's record: a place for each lane, the sharers, and whose it is.
static __device__ __noinline__ void keep_plan(const StreamParams& stream, int cta, WarpPlan plan, Sharers sharers) {
  const int warps = static_cast<int>(stream.warps.value), lane = lane_id();
  const auto of_lane = [](int value, int from) { return __shfl_sync(kAllLanes, value, from); };
  int4 mine = {plan.place.row, plan.place.unit, plan.place.token, plan.place.tokens};
  const int4 all_sharers = {of_lane(sharers.first, 0), of_lane(sharers.count, 0), of_lane(sharers.first, warps),
                            of_lane(sharers.count, warps)};
  if (lane == kMaxWarps + 1) mine = all_sharers;
  if (lane == kMaxWarps + 2)
    mine = {static_cast<int>(stream.tag), static_cast<int>(stream.tag >> 32), plan.has_empty_rows ? 1 : 0, 0};
  if (lane <= kMaxWarps + 2) stream.kept[cta * kKeptPlan + lane] = mine;
}

/// Returns whether there is one of this step.
__device__ __forceinline__ bool load_kept_plan(const StreamParams& stream, int cta, WarpPlan& plan) {
  static_assert(kMaxWarps + 3 <= kKeptPlan);
  const int lane = lane_id();
  const auto of_lane = [](int value, int from) { return __shfl_sync(kAllLanes, value, from); };
  const int4 mine = __ldcg(stream.kept + cta * kKeptPlan + min(lane, kMaxWarps + 2));
  plan.place = {mine.x, mine.y, mine.z, mine.w};
  const Sharers first{of_lane(mine.x, kMaxWarps + 1), of_lane(mine.y, kMaxWarps + 1)};
  const Sharers last{of_lane(mine.z, kMaxWarps + 1), of_lane(mine.w, kMaxWarps + 1)};
  plan.rare_sharers = lane == 0 ? first : last;
  plan.has_empty_rows = of_lane(mine.z, kMaxWarps + 2) != 0;
  return of_lane(mine.x, kMaxWarps + 2) == static_cast<int>(stream.tag) &&
         of_lane(mine.y, kMaxWarps + 2) == static_cast<int>(stream.tag >> 32);
}

/// The plan that an earlier layer has kept, or one for steps that may cost 2^31 tokens or more. For the whole CTA.
static __device__ __noinline__ WarpPlan make_rare_plan(const StepParams& step, const StreamParams& stream,
                                                       PlanShared& shared, int cta) {
  WarpPlan kept;
  if (stream.uses_kept && load_kept_plan(stream, cta, kept)) {
    if (step.batch > kWarpRows) {
      for (int row = static_cast<int>(threadIdx.x); row < min(step.batch, kCachedRows);
           row += static_cast<int>(blockDim.x))
        StepRows::load(step, shared.wide.tokens, row);
      __syncthreads();
    }
    return kept;
  }
  const StepRows rows(step, shared.wide.tokens);
  StreamPlan<std::int64_t> plan(step, stream, rows, shared.wide);
  plan.make();
  const auto end = plan.end(cta);
  return {end.place, plan.has_empty_rows(), plan.sharers(end)};
}

}  // namespace pkv::cuda
