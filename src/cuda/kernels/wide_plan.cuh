#pragma once

// A plan in 64 bits, which few steps need.

#include "stream_plan.cuh"

namespace pkv::cuda {

/// What a warp has of a plan.
struct WarpPlan {
  Place place;  // of this lane: where the run of warp `lane` begins
  bool has_empty_rows;
  Sharers wide_sharers;  // of a plan in 64 bits; else they are found out while the first loads are under way
};

/// For steps that may cost 2^31 tokens or more.
static __device__ __noinline__ WarpPlan make_wide_plan(const StepParams& step, const StreamParams& stream,
                                                       const RareCuts& rare, PlanShared& shared, int cta) {
  const StepRows<AnyForm> rows(step, shared.wide.tokens);
  StreamPlan<std::int64_t, AnyForm> plan(step, stream, rare, rows, shared.wide);
  plan.make();
  const auto end = plan.end(cta);
  return {end.place, plan.has_empty_rows(), plan.sharers(end)};
}

}  // namespace pkv::cuda
