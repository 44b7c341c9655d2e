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

/// Parts of a merge: places in its list of slots.
struct ListedRange {
  int begin;
  int count;
  int step;
};

/// The parts of a head of a merge, for combine(). kByLanes: each lane looks up the slot of one of 32, so that batches
/// after the first need not wait for theirs; where code may be divergent, each part then costs more instructions.
template <int kHeadDim, int kPitch, bool kByLanes>
class ListedParts {
 public:
  static constexpr bool kInLoop = kByLanes;
  static constexpr int kInFlight = kByLanes ? 16 : 32;  // what registers there are for
  __device__ __forceinline__ ListedParts(const PartialsParams& partials, const ListParams& list,
                                         const ListedRange& range, int chunk, int g)
      : partials_(partials), list_(list), range_(range), begin_(std::int64_t{chunk} * list.num_slots * kPitch + g) {}
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
    return list_.merge_slots[range_.begin + min(part, range_.count - 1) * range_.step];
  }
  /// By all lanes together.
  [[nodiscard]] __device__ __forceinline__ std::int64_t index(int k) const {
    const int at = kByLanes ? __shfl_sync(kAllLanes, own_slot_, (first_ + k) % 32) : slot(first_ + k);
    return begin_ + std::int64_t{at} * kPitch;
  }

  const PartialsParams& partials_;
  const ListParams& list_;
  const ListedRange& range_;
  std::int64_t begin_;
  int first_ = 0;
  int own_slot_ = 0;
};

/// Of head g of a merge, and of the one `next_head` after it unless that is 0, combines the parts of `range`, and
/// writes the result, or, of a group, puts it in place of the group's first part.
template <class T, int kHeadDim, int kBlocks, int kHeads>
__device__ __forceinline__ void merge_heads(const DecodeParams& p, const ListParams& list, const ListedRange& range,
                                            bool of_group, int row, const Unit& unit, int chunk, int g, int next_head) {
  HeadPart<kHeadDim> part[kHeads];
  combine<kHeadDim>(part, range.count, ListedParts<kHeadDim, 8 * kBlocks, true>(p.partials, list, range, chunk, g),
                    next_head);
  const std::int64_t group = std::int64_t{chunk} * list.num_slots + list.merge_slots[range.begin];
#pragma unroll
  for (int h = 0; h < kHeads; ++h) {
    if (h > 0 && next_head == 0) break;
    const int head = g + h * next_head;
    if (of_group) {
      publish<kHeadDim>(p.partials, group * (8 * kBlocks) + head, part[h]);
    } else {
      write_head<T>(p, part[h], row, unit.first_head + head);
    }
  }
}

/// A warp arrives for its heads of a part, and merges those for which it is the last, two at a time where it has
/// several. A counter for each head: no warp waits for another, and tasks that end late share the merging.
template <class T, int kHeadDim, int kBlocks, class Probe>
__device__ __forceinline__ void merge_last(const DecodeParams& p, const ListParams& list, const ListedSegment& segment,
                                           int chunk, const Unit& unit, int warp, int warps, Probe& probe) {
  const ListedMerge m = list.merges[segment.merge];
  // Lane i arrives for the i-th of this warp's heads.
  const auto arrive = [&](bool arrives, std::int64_t counters, int count) {
    unsigned* const own = p.partials.arrivals + counters * (8 * kBlocks) + warp + lane_id() * warps;
    return __ballot_sync(kAllLanes, arrives && arrive_last(own, count));
  };
  __syncwarp();
  ListedRange range{segment.group_begin, segment.group_parts, 1};
  bool of_group = m.group_parts < m.slots_end - m.slots_begin;
  unsigned last = arrive(warp + lane_id() * warps < unit.heads,
                         std::int64_t{chunk} * list.num_slots + segment.group_slot, range.count);
#pragma unroll 1
  while (last != 0) {
#pragma unroll 1
    for (unsigned todo = last; todo != 0;) {
      const int i = __ffs(static_cast<int>(todo)) - 1, g = warp + i * warps;
      if (unit.heads > warps) {
        const bool two = (todo >> i & 2) != 0;
        merge_heads<T, kHeadDim, kBlocks, 2>(p, list, range, of_group, m.row, unit, chunk, g, two ? warps : 0);
        todo &= ~((two ? 3u : 1u) << i);
      } else {
        merge_heads<T, kHeadDim, kBlocks, 1>(p, list, range, of_group, m.row, unit, chunk, g, 0);
        todo &= todo - 1;
      }
      probe.stamp(CudaStampKind::kMerged);
    }
    if (!of_group) return;
    __syncwarp();
    of_group = false;
    range = {m.slots_begin, (m.slots_end - m.slots_begin + m.group_parts - 1) / m.group_parts, m.group_parts};
    last = arrive((last >> lane_id() & 1) != 0,
                  std::int64_t{p.chunks} * list.num_slots + std::int64_t{chunk} * list.num_merges + segment.merge,
                  range.count);
  }
}

/// CTAs that should fit an SM: a third needs registers, which the state of more than 8 heads of 128 takes.
template <int kHeadDim, int kBlocks>
inline constexpr int kListedCtas = kHeadDim* kBlocks <= 128 ? 3 : 2;

template <class T, int kHeadDim, int kBlocks, int kStages, class Probe = NoProbe>
__global__ void __launch_bounds__(kListedWarps * 32, (kListedCtas<kHeadDim, kBlocks>))
    segment_decode(const __grid_constant__ DecodeParams p,
                   const __grid_constant__ typename Probe::template With<ListParams> list) {
  using R = Ring<kHeadDim, kStages>;
  constexpr int kHeads = kBlocks;  // joined at once
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
            probe.stamp_segment(at.row, at.unit, at.token, token_end);
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
      merge_last<T, kHeadDim, kBlocks>(p, list, segment, chunk, unit, warp, warps, probe);
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
  const ListedRange all{m.slots_begin, m.slots_end - m.slots_begin, 1};
  HeadPart<kHeadDim> part[1];
  combine<kHeadDim>(part, all.count, ListedParts<kHeadDim, 8 * kBlocks, false>(p.partials, list, all, chunk, g), 0);
  write_head<T>(p, part[0], m.row, unit.first_head + g);
}

}  // namespace pkv::cuda
