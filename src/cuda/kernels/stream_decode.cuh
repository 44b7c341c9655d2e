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

template <class T, int kHeadDim, int kBlocks, int kStages>
__global__ void __launch_bounds__(kMaxWarps * 32, 1)
    stream_decode(const __grid_constant__ DecodeParams p, const __grid_constant__ StreamParams stream) {
  using R = Ring<kHeadDim, kStages>;
  extern __shared__ __align__(1024) unsigned char dynamic_shared[];
  __shared__ StreamPlan::Shared plan_shared;
  __shared__ JoinShared shared;
  const int warp = static_cast<int>(threadIdx.x) >> 5, warps = static_cast<int>(blockDim.x) >> 5;
  const int cta = static_cast<int>(blockIdx.x);
  const PartPlaces places{dynamic_shared, R::kBytes, reinterpret_cast<float*>(dynamic_shared + warps * R::kBytes),
                          p.heads_per_unit * kPartPitch<kHeadDim>};
  launch_dependents();
  if (const int line = cta * static_cast<int>(blockDim.x) + static_cast<int>(threadIdx.x); line < p.step.prefetch_lines)
    prefetch_l2(static_cast<const char*>(p.step.entries.data) + std::int64_t{line} * 128);

  const StreamPlan plan(p.step, stream, plan_shared);
  const std::int64_t cta_begin = plan.cta_begin(cta);
  const arith::Runs runs(plan.cta_begin(cta + 1) - cta_begin, stream.warps, stream.tile_tokens.value);
  const StreamPlan::Found begin = plan.find(cta_begin + runs.begin(warp));
  const StreamPlan::Found end = plan.find(cta_begin + runs.begin(warp + 1));
  Place at = begin.place;
  const Place stop = end.place;
  const auto same_unit = [](const Place& a, const Place& b) { return a.row == b.row && a.unit == b.unit; };
  const bool idle = same_unit(at, stop) && at.token == stop.token;

  const std::uint32_t ring = shared_address(dynamic_shared + warp * R::kBytes);
  TileFeeder<kHeadDim, kStages> feeder(p, idle ? Place{stop.row, stop.unit, 0, 0} : at, idle ? Place{0, 0, 0, 0} : stop,
                                       ring);
  QueryFragments<kHeadDim, kBlocks> q;
  // What the kernel ahead does not write is on its way before the wait for it.
  bool waited = false;
#pragma unroll 1
  for (int stage = 0; !idle && stage < kStages; ++stage) {
    if (!waited && !feeder.next_is_old()) {
      wait_for_kernel_ahead();
      waited = true;
    }
    feeder.issue_keys(stage);
    feeder.issue_values(stage);
  }
  wait_for_kernel_ahead();
  if (!idle) load_query(q, p, at.row, unit_of(p, at.unit));

  // In the shadow of the loads: who joins what at the end.
  const bool continues = at.token > 0, leaves = stop.token > 0;
  if (lane_id() == 0) {
    const bool tail = !idle && leaves && !(continues && same_unit(at, stop));
    shared.parts[warp] = {!idle && continues, tail, stop.row, stop.unit};
  }
  if (warp == 0) {
    const Sharers sharers = continues ? plan.sharers(begin) : Sharers{cta, 0};
    if (lane_id() == 0) {
      shared.head_row = at.row;
      shared.head_unit = at.unit;
      shared.head_sharers = sharers;
    }
  }
  if (warp == warps - 1) {
    const Sharers sharers = leaves ? plan.sharers(end) : Sharers{cta, 0};
    if (lane_id() == 0) shared.tail_sharers = sharers.first == cta ? sharers : Sharers{cta, 0};
  }
  write_empty_rows<T, kHeadDim>(p, cta * warps + warp, static_cast<int>(gridDim.x) * warps);

  int stage = 0;
  while (!idle) {
    const bool last = same_unit(at, stop);
    const int token_end = last ? stop.token : at.tokens;
    const Unit unit = unit_of(p, at.unit);
    State<kHeadDim, kBlocks> state;
    state.clear();
    attend<T>(state, q, feeder, ring, stage, at.token, token_end, p.scale_log2);
    state.finish();
    if (at.token == 0 && token_end == at.tokens) {
      write_state<T>(p, state, at.row, unit);
    } else {
      const bool tail = at.token == 0;
      store_part<kHeadDim>(places.at(warp, tail), shared.max_sum[warp][tail], state, unit.heads);
    }
    if (last) break;
    at.token = 0;
    if (++at.unit == p.step.num_units) {
      const Row row = next_row(p.step, at.row);
      at = {row.row, 0, 0, row.tokens};
    }
    if (same_unit(at, stop) && stop.token == 0) break;
    load_query(q, p, at.row, unit_of(p, at.unit));
  }
  __syncthreads();
  join_units<T, kHeadDim>(p, shared, places);
}

}  // namespace pkv::cuda
