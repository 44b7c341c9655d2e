#pragma once

// `stream` in one launch. The life of a warp: plan in closed form, fill its ring, walk its run segment by segment with
// no barrier (a unit that lies whole in the run goes straight from registers to memory), one barrier of the CTA, and
// the join. No CTA ever waits for another, so any number of them may be resident.
//
// Programmatic dependent launch. Read before the kernel ahead has finished: lengths, page table, and K and V of pages
// other than the one of a row's newest token (of that one too where p.kv_written_earlier). All else is read and written
// after.

#include "join.cuh"

namespace pkv::cuda {

template <class T, int kHeadDim, int kBlocks, int kStages, class Probe = NoProbe>
__global__ void __launch_bounds__(kMaxWarps * 32, 1)
    stream_decode(const __grid_constant__ typename Probe::template With<StreamParams> stream,
                  const __grid_constant__ DecodeParams p) {
  using R = Ring<kHeadDim, kStages>;
  extern __shared__ __align__(1024) unsigned char dynamic_shared[];
  __shared__ PlanShared plan_shared;
  __shared__ JoinShared shared;
  Probe probe(stream);
  const int warp = static_cast<int>(threadIdx.x) >> 5, warps = static_cast<int>(blockDim.x) >> 5;
  const int cta = static_cast<int>(blockIdx.x);
  const PartPlaces places{reinterpret_cast<float*>(dynamic_shared), R::kBytes / 4, warps * (R::kBytes / 4),
                          p.heads_per_unit * kPartPitch<kHeadDim>};
  if (const int line = cta * static_cast<int>(blockDim.x) + static_cast<int>(threadIdx.x); line < p.step.prefetch_lines)
    prefetch_l2(static_cast<const char*>(p.step.entries.data) + std::int64_t{line} * 128);

  const StepRows rows(p.step, plan_shared.narrow.tokens);
  StreamPlan<std::int32_t> plan(p.step, stream, rows, plan_shared.narrow);
  StreamPlan<std::int32_t>::End own_end{};
  WarpPlan warp_plan;
  if (__builtin_expect(stream.wide, 0)) {
    warp_plan = make_wide_plan(p.step, stream, plan_shared, cta);
  } else {
    plan.make();
    own_end = plan.end(cta);
    warp_plan = {own_end.place, plan.has_empty_rows(), {0, 0}};
  }
  const auto place_of = [&](int w) {
    const Place& place = warp_plan.place;
    return Place{__shfl_sync(kAllLanes, place.row, w), __shfl_sync(kAllLanes, place.unit, w),
                 __shfl_sync(kAllLanes, place.token, w), __shfl_sync(kAllLanes, place.tokens, w)};
  };
  const Place begin = place_of(warp), end = place_of(warp + 1);
  probe.stamp(CudaStampKind::kPlanned);
  const auto prepare_join = [&] {
    if (warp != 0) return;
    Sharers sharers{0, 0};
    if (lane_id() == 0 || lane_id() == warps) sharers = stream.wide ? warp_plan.wide_sharers : plan.sharers(own_end);
    list_units(p, shared, warp_plan.place, sharers, warps);
  };
  if (begin.row != end.row || begin.unit != end.unit || begin.token != end.token) {
    attend_run<T, kHeadDim, kBlocks, kStages>(
        p, rows, begin, end, shared_address(dynamic_shared + warp * R::kBytes), prepare_join,
        [&](const Place& at, int token_end, const State<kHeadDim, kBlocks>& state) {
          const Unit unit = unit_of(p, at.unit);
          if (at.token == 0 && token_end == at.tokens) {
            write_state<T>(p, state, at.row, unit);
          } else {
            const bool tail = at.token == 0;
            store_part<kHeadDim>(tail ? places.tail(warp) : places.head(warp), shared.max_sum[warp][tail], state,
                                 unit.heads);
          }
          probe.stamp_segment(at.row, at.unit, at.token, token_end);
        },
        probe);
  } else {
    wait_for_kernel_ahead();
    prepare_join();
  }
  probe.stamp(CudaStampKind::kArrived);
  __syncthreads();
  join_units<T, kHeadDim, kBlocks>(p, shared, places, probe);
  if (warp_plan.has_empty_rows)
    write_empty_rows<T, kHeadDim>(p, cta * warps + warp, static_cast<int>(gridDim.x) * warps);
}

}  // namespace pkv::cuda
