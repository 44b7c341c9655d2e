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

/// What is left of a warp's life, once it knows where the runs of its CTA begin and end. sharers() is asked while the
/// first loads are under way. `cta`: this one, as sharers() counts them.
template <class T, int kHeadDim, int kBlocks, int kStages, class HeadCut, class Params, class SharersOf, class Probe>
__device__ __forceinline__ void attend_and_join(const Params& p, const StepRows<typename Params::Form>& rows,
                                                const WarpPlan& plan, int cta, SharersOf sharers, unsigned char* rings,
                                                JoinShared& shared, Probe& probe) {
  using R = Ring<kHeadDim, kStages>;
  const int warp = static_cast<int>(threadIdx.x) >> 5, warps = static_cast<int>(blockDim.x) >> 5;
  const PartPlaces places{reinterpret_cast<float*>(rings), R::kBytes / 4, warps * (R::kBytes / 4),
                          HeadCut::heads_per_unit(p) * kPartPitch<kHeadDim>};
  const auto place_of = [&](int w) {
    const Place& place = plan.place;
    return Place{__shfl_sync(kAllLanes, place.row, w), __shfl_sync(kAllLanes, place.unit, w),
                 __shfl_sync(kAllLanes, place.token, w), __shfl_sync(kAllLanes, place.tokens, w)};
  };
  const Place begin = place_of(warp), end = place_of(warp + 1);
  probe.stamp(CudaStampKind::kPlanned);
  const auto prepare_join = [&] {
    if (warp != 0) return;
    Sharers of_ends{0, 0};
    if (lane_id() == 0 || lane_id() == warps) of_ends = sharers();
    list_units<HeadCut>(p, shared, plan.place, of_ends, warps, cta);
  };
  int has_run = begin.row != end.row || begin.unit != end.unit || begin.token != end.token ? 1 : 0;
  if (has_run != 0) {
    attend_run<T, kHeadDim, kBlocks, kStages, HeadCut>(
        p, rows, begin, end, shared_address(rings + warp * R::kBytes), prepare_join,
        [&](const Place& at, int token_end, const State<kHeadDim, kBlocks>& state) {
          const Unit unit = HeadCut::unit(p, at.unit);
          if (at.token == 0 && token_end == at.tokens) {
            write_state<T>(p, state, at.row, unit);
          } else {
            const bool tail = at.token == 0;
            store_part<kHeadDim>(tail ? places.tail(warp) : places.head(warp), shared.max_sum[warp][tail], state,
                                 unit.heads);
          }
          probe.stamp_segment(at.row, unit.kv_head, at.token, token_end);
        },
        probe);
  }
  not_before(has_run);  // so that the code of warps without a run stands behind
  if (has_run == 0) {
    wait_for_kernel_ahead();
    prepare_join();
  }
  probe.stamp(CudaStampKind::kArrived);
  __syncthreads();
  join_units<T, kHeadDim, kBlocks>(p, HeadCut::heads_per_unit(p), shared, places, probe);
}

template <class T, int kHeadDim, int kBlocks, int kStages, class Form, class Probe = NoProbe>
__global__ void __launch_bounds__(kMaxWarps * 32, 1)
    stream_decode(const __grid_constant__ typename Probe::template With<StreamParams> stream,
                  const __grid_constant__ KnownParams<Form> p, const __grid_constant__ RareCuts rare) {
  extern __shared__ __align__(1024) unsigned char dynamic_shared[];
  __shared__ PlanShared plan_shared;
  __shared__ JoinShared join_shared;
  Probe probe(stream);
  const int cta = static_cast<int>(blockIdx.x);
  if (const int line = cta * static_cast<int>(blockDim.x) + static_cast<int>(threadIdx.x); line < p.step.prefetch_lines)
    prefetch_l2(static_cast<const char*>(p.step.entries.data) + std::int64_t{line} * 128);

  constexpr bool kMayHalve = kBlocks > 1;
  const StepRows<Form> rows(p.step, plan_shared.narrow.tokens);
  using Plan = StreamPlan<std::int32_t, Form, kMayHalve>;
  Plan plan(p.step, stream, rare, rows, plan_shared.narrow);
  typename Plan::End own_end{};
  WarpPlan warp_plan;
  const bool wide = !Form::kUsual && stream.wide;
  if (__builtin_expect(wide, 0)) {
    warp_plan = make_wide_plan(p.step, stream, rare, plan_shared, cta);
  } else {
    plan.make();
    own_end = plan.end(plan.worker(cta));
    warp_plan = {own_end.place, plan.has_empty_rows(), {0, 0}};
  }
  const auto attend_and_join_of = [&]<int kUnitBlocks, class Cut>(Cut) {
    // Those that have one half of the heads share units with each other: they count from 0, the others after them.
    const int others = plan.halved() ? Cut::half_of(cta) * static_cast<int>(gridDim.x >> 1) : 0;
    attend_and_join<T, kHeadDim, kUnitBlocks, kStages, Cut>(
        p, rows, warp_plan, others + plan.worker(cta),
        [&] {
          Sharers found = wide ? warp_plan.wide_sharers : plan.sharers(own_end);
          found.first += others;
          return found;
        },
        dynamic_shared, join_shared, probe);
  };
  int halved = plan.halved() ? 1 : 0;
  if (kMayHalve) not_before(halved);
  if (halved == 0) attend_and_join_of.template operator()<kBlocks>(HeadCut<false>());
  if constexpr (kMayHalve) {
    // As if it might come after the other, not in its place: so its code does, and leaves that of most steps as it was.
    not_before(halved);
    if (halved != 0) attend_and_join_of.template operator()<(kBlocks + 1) / 2>(HeadCut<kMayHalve>());
  }
  if (warp_plan.has_empty_rows) {
    const int warp = static_cast<int>(threadIdx.x) >> 5, warps = static_cast<int>(blockDim.x) >> 5;
    write_empty_rows<T, kHeadDim>(p, cta * warps + warp, static_cast<int>(gridDim.x) * warps);
  }
}

}  // namespace pkv::cuda
