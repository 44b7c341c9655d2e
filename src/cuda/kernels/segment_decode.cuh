#pragma once

// Plans that the host has listed: the schedules of the study, and any other. A worker is a CTA, whose warps share each
// of its segments; merges are done by whoever writes the last partial, or by a launch of their own.

#include "join.cuh"

namespace pkv::cuda {

/// A run within one unit has no next.
struct OneRow {
  static constexpr bool kOneUnit = true;
  __device__ __forceinline__ static Row next(int row) { return {row + 1, 0}; }
};

/// The parts of one head of a merge, for combine(). kByLanes: each lane looks up the slot of one of 32, so that batches
/// after the first need not wait for theirs; where code may be divergent, each part then costs more instructions.
template <int kHeadDim, int kPitch, bool kByLanes>
class ListedParts {
 public:
  static constexpr bool kInLoop = kByLanes;
  __device__ __forceinline__ ListedParts(const PartialsParams& partials, const ListParams& list,
                                         const ListedMerge& merge, int chunk, int g)
      : partials_(partials), list_(list), merge_(merge), begin_(std::int64_t{chunk} * list.num_slots * kPitch + g) {}
  __device__ __forceinline__ void batch(int first) {
    first_ = first;
    if (kByLanes && first % 32 == 0) own_slot_ = slot(first + lane_id());
  }
  [[nodiscard]] __device__ __forceinline__ const float2* max_sum(int k) const { return partials_.max_sum + index(k); }
  [[nodiscard]] __device__ __forceinline__ const float* acc(int k) const {
    return partials_.acc + index(k) * kHeadDim + lane_id() * 4;
  }

 private:
  [[nodiscard]] __device__ __forceinline__ int slot(int part) const {
    return list_.merge_slots[min(merge_.slots_begin + part, merge_.slots_end - 1)];
  }
  /// By all lanes together.
  [[nodiscard]] __device__ __forceinline__ std::int64_t index(int k) const {
    const int at = kByLanes ? __shfl_sync(kAllLanes, own_slot_, (first_ + k) % 32) : slot(first_ + k);
    return begin_ + std::int64_t{at} * kPitch;
  }

  const PartialsParams& partials_;
  const ListParams& list_;
  const ListedMerge& merge_;
  std::int64_t begin_;
  int first_ = 0;
  int own_slot_ = 0;
};

template <class T, int kHeadDim, int kBlocks, bool kInLoop>
__device__ __forceinline__ void merge_head(const DecodeParams& p, const ListParams& list, int merge, int chunk, int g) {
  const ListedMerge m = list.merges[merge];
  const HeadPart<kHeadDim> part = combine<kHeadDim>(
      m.slots_end - m.slots_begin, ListedParts<kHeadDim, 8 * kBlocks, kInLoop>(p.partials, list, m, chunk, g));
  write_head<T>(p, part, m.row, unit_of(p, m.kv_head * p.chunks + chunk).first_head + g);
}

/// CTAs that should fit an SM: a third needs registers, which the state of more than 8 heads of 128 takes.
template <int kHeadDim, int kBlocks>
inline constexpr int kListedCtas = kHeadDim* kBlocks <= 128 ? 3 : 2;

template <class T, int kHeadDim, int kBlocks, int kStages, class Probe = NoProbe>
__global__ void __launch_bounds__(kListedWarps * 32, (kListedCtas<kHeadDim, kBlocks>))
    segment_decode(const __grid_constant__ DecodeParams p,
                   const __grid_constant__ typename Probe::template With<ListParams> list) {
  using R = Ring<kHeadDim, kStages>;
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
    const int tokens = row_tokens(p.step, segment.row);
    const int unit_index = segment.kv_head * p.chunks + chunk;
    const Unit unit = unit_of(p, unit_index);
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
      attend_run<T, kHeadDim, kBlocks, kStages>(
          p, OneRow(), begin, end, ring, [] {},
          [&](const Place& at, int token_end, const State<kHeadDim, kBlocks>& state) {
            store_part<kHeadDim>(places.head(warp), max_sum[warp][0], state, unit.heads);
            probe.stamp_segment(at.row, at.unit, at.token, token_end);
          },
          probe);
    }
    const unsigned members = static_cast<unsigned>((1 << min(tiles, warps)) - 1);  // the others were idle
    probe.stamp(CudaStampKind::kArrived);
    __syncthreads();
    for (int g = warp; g < unit.heads; g += warps) {
      const HeadPart<kHeadDim> part = join_warps<kHeadDim>(max_sum, places, -1, members, g);
      if (segment.slot < 0) {
        write_head<T>(p, part, segment.row, unit.first_head + g);
      } else {
        publish<kHeadDim>(p.partials, (std::int64_t{chunk} * list.num_slots + segment.slot) * (8 * kBlocks) + g, part);
      }
    }
    if (segment.slot >= 0 && segment.merge >= 0) {
      // A counter for each head: no warp waits for another, and tasks that end late share the merging. Lane i arrives
      // for the i-th of this warp's heads.
      const ListedMerge m = list.merges[segment.merge];
      const int g = warp + lane_id() * warps;
      const std::int64_t counter = (std::int64_t{chunk} * list.num_merges + segment.merge) * (8 * kBlocks) + g;
      __syncwarp();
      const bool came_last = g < unit.heads && arrive_last(p.partials.arrivals + counter, m.slots_end - m.slots_begin);
#pragma unroll 1
      for (unsigned last = __ballot_sync(kAllLanes, came_last); last != 0; last &= last - 1) {
        merge_head<T, kHeadDim, kBlocks, true>(p, list, segment.merge, chunk,
                                               warp + (__ffs(static_cast<int>(last)) - 1) * warps);
        probe.stamp(CudaStampKind::kMerged);
      }
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
  if (g < unit_of(p, m.kv_head * p.chunks + chunk).heads)
    merge_head<T, kHeadDim, kBlocks, false>(p, list, list.first + merge, chunk, g);
}

}  // namespace pkv::cuda
