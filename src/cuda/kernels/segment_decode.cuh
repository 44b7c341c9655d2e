#pragma once

// Plans that the host has listed: the schedules of the study, and any other. A worker is a CTA, whose warps share each
// of its segments; merges are done by whoever writes the last partial, or by a launch of their own.

#include "listed_merge.cuh"

namespace pkv::cuda {

/// A run within one unit has no next.
struct OneRow {
  static constexpr bool kOneUnit = true;
  __device__ __forceinline__ static Row next(int row) { return {row + 1, 0}; }
};

/// CTAs that should fit an SM: a third needs registers, which the state of more than 8 heads of 128 takes.
template <int kHeadDim, int kBlocks>
inline constexpr int kListedCtas = kHeadDim* kBlocks <= 128 ? 3 : 2;

template <class T, int kHeadDim, int kBlocks, int kStages, class Probe = NoProbe>
__global__ void __launch_bounds__(kListedWarps * 32, (kListedCtas<kHeadDim, kBlocks>))
    segment_decode(const __grid_constant__ DecodeParams p,
                   const __grid_constant__ typename Probe::template With<ListParams> list) {
  using R = Ring<kHeadDim, kStages>;
  static_assert(R::kBytes >= 32 * kHeadDim * sizeof(float));  // of parts, to be merged
  constexpr int kHeads = kBlocks;                             // joined at once
  extern __shared__ __align__(1024) unsigned char dynamic_shared[];
  __shared__ MaxSums<kListedWarps> max_sum;
  Probe probe(list);
  const int warp = static_cast<int>(threadIdx.x) >> 5, warps = static_cast<int>(blockDim.x) >> 5;
  const PartPlaces places{reinterpret_cast<float*>(dynamic_shared), R::kBytes / 4, warps * (R::kBytes / 4),
                          p.heads_per_unit * kPartPitch<kHeadDim>};
  const std::uint32_t ring = shared_address(dynamic_shared + warp * R::kBytes);
  wait_for_kernel_ahead();
  if (list.write_empty_rows)
    write_empty_rows<T, kHeadDim>(p, static_cast<int>(blockIdx.x) * warps + warp, static_cast<int>(gridDim.x) * warps);
  const int worker = static_cast<int>(blockIdx.x) / p.chunks, chunk = static_cast<int>(blockIdx.x) % p.chunks;
  if (worker >= list.count) return;

  const int stop = list.worker_offsets[list.first + worker + 1];
  probe.stamp(CudaStampKind::kPlanned);
  for (int s = list.worker_offsets[list.first + worker]; s < stop; ++s) {
    const ListedSegment segment = list.segments[s];
    const int tokens = row_tokens<AnyForm>(p.step, segment.row);
    const int unit_index = segment.kv_head * p.chunks + chunk;
    const Unit unit = HeadCut<false>::unit(p, unit_index);
    const int first_tile = segment.token_begin / kTileTokens;
    const int tiles = (segment.token_end + kTileTokens - 1) / kTileTokens - first_tile;
    const arith::Runs<int> runs(tiles, list.warps, 1);
    const auto edge = [&](int w) {
      const int token = (first_tile + runs.begin(w)) * kTileTokens;
      return min(max(token, segment.token_begin), segment.token_end);
    };
    const Place begin{segment.row, unit_index, edge(warp), tokens},
        end{segment.row, unit_index, edge(warp + 1), tokens};
    if (begin.token != end.token) {
      attend_run<T, kHeadDim, kBlocks, kStages, HeadCut<false>>(
          p, OneRow(), begin, end, ring, [] {},
          [&](const Place& at, int token_end, const State<kHeadDim, kBlocks>& state) {
            store_part<kHeadDim>(places.head(warp), max_sum[warp][0], state, unit.heads);
            probe.stamp_segment(at.row, unit.kv_head, at.token, token_end);
          },
          probe);
    }
    const unsigned members = static_cast<unsigned>((1 << min(tiles, warps)) - 1);  // the others were idle
    probe.stamp(CudaStampKind::kArrived);
    __syncthreads();
    for (int first = warp; first < unit.heads; first += kHeads * warps) {
      HeadPart<kHeadDim> part[kHeads];
      join_warps<kHeadDim>(part, max_sum, places, -1, members, first, warps, unit.heads - 1);
#pragma unroll
      for (int h = 0; h < kHeads; ++h) {
        const int g = first + h * warps;
        if (h > 0 && g >= unit.heads) break;
        if (segment.slot < 0) {
          write_head<T>(p, part[h], segment.row, unit.first_head + g);
        } else {
          publish<kHeadDim>(p.partials, (std::int64_t{chunk} * list.num_slots + segment.slot) * (8 * kBlocks) + g,
                            part[h]);
        }
      }
    }
    if (segment.slot >= 0 && segment.merge >= 0) {
      merge_last<T, kHeadDim, kBlocks>(p, list, segment, chunk, unit, dynamic_shared + warp * R::kBytes, warp, warps,
                                       probe);
    }
    probe.stamp(CudaStampKind::kJoined);
    __syncthreads();
  }
}

/// A launch that only merges: a warp for each (merge, chunk, head).
template <class T, int kHeadDim, int kBlocks, class Probe = NoProbe>
__global__ void __launch_bounds__(kMaxWarps * 32)
    merge_partials(const __grid_constant__ DecodeParams p,
                   const __grid_constant__ typename Probe::template With<ListParams> list) {
  Probe probe(list);
  wait_for_kernel_ahead();
  const int item = static_cast<int>((blockIdx.x * blockDim.x + threadIdx.x) >> 5);
  const int g = item % p.heads_per_unit, rest = item / p.heads_per_unit;
  const int chunk = rest % p.chunks, merge = rest / p.chunks;
  if (merge >= list.count) return;
  const ListedMerge m = list.merges[list.first + merge];
  const Unit unit = HeadCut<false>::unit(p, m.kv_head * p.chunks + chunk);
  if (g >= unit.heads) return;
  const std::int64_t first = (std::int64_t{chunk} * list.num_slots + m.slot) * (8 * kBlocks) + g;
  HeadPart<kHeadDim> part[1];
  combine<kHeadDim>(part, m.parts, ListedParts<kHeadDim, 8 * kBlocks>(p.partials, first), 0);
  write_head<T>(p, part[0], m.row, unit.first_head + g);
}

}  // namespace pkv::cuda
