#pragma once

// Merges of listed plans: by a launch of their own, from registers, or by whoever arrives last, through shared memory.

#include "join.cuh"

namespace pkv::cuda {

/// Parts of a merge.
struct ListedRange {
  int slot;  ///< of the first
  int count;
  int step;
};

/// The parts of a head of a merge, for combine().
template <int kHeadDim, int kPitch>
class ListedParts {
 public:
  static constexpr int kInFlight = 32;
  /// `begin`: the first part's index.
  __device__ __forceinline__ ListedParts(const PartialsParams& partials, std::int64_t begin)
      : partials_(partials), begin_(begin) {}
  __device__ __forceinline__ void batch(int first) {
    index_ = begin_ + first * kPitch;
    acc_ = partials_.acc + index_ * kHeadDim + lane_id() * 4;
    not_before(acc_);  // one address, from which the others differ by constants
  }
  [[nodiscard]] __device__ __forceinline__ const float2* max_sum(int k) const {
    return partials_.max_sum + index_ + k * kPitch;
  }
  [[nodiscard]] __device__ __forceinline__ const float* acc(int k) const { return acc_ + k * kPitch * kHeadDim; }

 private:
  const PartialsParams& partials_;
  std::int64_t begin_;
  std::int64_t index_ = 0;
  const float* acc_ = nullptr;
};

/// Adds up parts of heads g, g + next_head, ..., `heads` of them, by one warp. They come through its ring, which is
/// empty by then and holds 32 of them: as many in flight as registers would hold of one head's, and in loops, for this
/// code is cold. A lane reads nothing there but what it has copied itself.
template <int kHeadDim, int kBlocks, int kHeads>
__device__ __forceinline__ void combine_in_ring(HeadPart<kHeadDim> (&total)[kHeads], const PartialsParams& partials,
                                                const ListParams& list, const ListedRange& range, int chunk, int g,
                                                int next_head, int heads, unsigned char* ring) {
  using Part = HeadPart<kHeadDim>;
  constexpr int kPitch = 8 * kBlocks, kBatch = 32 / kHeads;
  const int own_part = lane_id() % kBatch, own_head = lane_id() / kBatch;
  const std::int64_t begin = (std::int64_t{chunk} * list.num_slots + range.slot) * kPitch + g;
  const std::uint64_t policy = read_once_policy();
#pragma unroll
  for (int h = 0; h < kHeads; ++h) total[h].clear();
#pragma unroll 1
  for (int first = 0; first < range.count; first += kBatch) {
    const int parts = min(kBatch, range.count - first);
    const std::int64_t index = begin + std::int64_t{first} * range.step * kPitch;
    const bool weighs = own_part < parts && own_head < heads;
    const float2 max_sum =
        weighs ? __ldcg(partials.max_sum + index + own_part * range.step * kPitch + own_head * next_head)
               : make_float2(kLowest, 0.0f);
    const auto place_of = [&](int k, int h, int v) { return ((k * kHeads + h) * kHeadDim + Part::dim(v)) * 4; };
#pragma unroll 2
    for (int k = 0; k < parts; ++k) {
      const float* from = partials.acc + (index + k * range.step * kPitch) * kHeadDim;
#pragma unroll
      for (int h = 0; h < kHeads; ++h)
#pragma unroll
        for (int v = 0; v < Part::kVectors; ++v)
          if (Part::mine(v) && h < heads)
            copy_async_16(shared_address(ring + place_of(k, h, v)), from + h * next_head * kHeadDim + Part::dim(v),
                          true, policy);
    }
    copy_async_commit();
    float top = kLowest;
#pragma unroll
    for (int h = 0; h < kHeads; ++h)
      if (h == own_head) top = total[h].max;
    const float weight = weigh_parts(total, max_sum, top, weighs);
    copy_async_wait<0>();
#pragma unroll 2
    for (int k = 0; k < parts; ++k) {
#pragma unroll
      for (int h = 0; h < kHeads; ++h) {
        const float w = __shfl_sync(kAllLanes, weight, h * kBatch + k);
#pragma unroll
        for (int v = 0; v < Part::kVectors; ++v)
          if (Part::mine(v) && h < heads)
            add_scaled(total[h].acc[v], w, *reinterpret_cast<const float4*>(ring + place_of(k, h, v)));
      }
    }
  }
}

/// Of some heads of a merge, combines the parts of `range`, and writes the results, or, of a group, puts them in place
/// of the group's first part.
template <class T, int kHeadDim, int kBlocks, int kHeads>
__device__ __forceinline__ void merge_heads(const DecodeParams& p, const ListParams& list, const ListedRange& range,
                                            bool of_group, int row, const Unit& unit, int chunk, int g, int next_head,
                                            int heads, unsigned char* ring) {
  HeadPart<kHeadDim> part[kHeads];
  combine_in_ring<kHeadDim, kBlocks>(part, p.partials, list, range, chunk, g, next_head, heads, ring);
  const std::int64_t group = std::int64_t{chunk} * list.num_slots + range.slot;
#pragma unroll
  for (int h = 0; h < kHeads; ++h) {
    if (h >= heads) break;
    const int head = g + h * next_head;
    if (of_group) {
      publish<kHeadDim>(p.partials, group * (8 * kBlocks) + head, part[h]);
    } else {
      write_head<T>(p, part[h], row, unit.first_head + head);
    }
  }
}

/// A warp arrives for its heads of a part, and merges those for which it is the last, up to kHeads at a time. A counter
/// for each head: no warp waits for another, and tasks that end late share the merging.
template <class T, int kHeadDim, int kBlocks, class Probe>
__device__ __forceinline__ void merge_last(const DecodeParams& p, const ListParams& list, const ListedSegment& segment,
                                           int chunk, const Unit& unit, unsigned char* ring, int warp, int warps,
                                           Probe& probe) {
  constexpr int kHeads = 2 * kBlocks;
  // Lane i arrives for the i-th of this warp's heads.
  const auto arrive = [&](bool arrives, std::int64_t counters, int count) {
    unsigned* const own = p.partials.arrivals + counters * (8 * kBlocks) + warp + lane_id() * warps;
    return __ballot_sync(kAllLanes, arrives && arrive_last(own, count));
  };
  __syncwarp();
  ListedRange range{segment.group_slot, segment.group_parts, 1};
  bool of_group = segment.group_size < segment.merge_parts;
  unsigned last = arrive(warp + lane_id() * warps < unit.heads,
                         std::int64_t{chunk} * list.num_slots + segment.group_slot, range.count);
#pragma unroll 1
  while (last != 0) {
#pragma unroll 1
    for (unsigned todo = last; todo != 0;) {
      // Neighbours, as long as this warp is the last for each.
      const int i = __ffs(static_cast<int>(todo)) - 1;
      const int heads = min(__ffs(static_cast<int>(~(todo >> i))) - 1, kHeads);
      todo &= ~(((1u << heads) - 1) << i);
      const auto merge = [&]<int kAtOnce>() {
        merge_heads<T, kHeadDim, kBlocks, kAtOnce>(p, list, range, of_group, segment.row, unit, chunk, warp + i * warps,
                                                   warps, heads, ring);
      };
      if (kBlocks > 1 || unit.heads > warps) {
        merge.template operator()<kHeads>();
      } else {
        merge.template operator()<1>();
      }
      probe.stamp(CudaStampKind::kMerged);
    }
    if (!of_group) return;
    __syncwarp();
    of_group = false;
    range = {segment.merge_slot, (segment.merge_parts + segment.group_size - 1) / segment.group_size,
             segment.group_size};
    last = arrive((last >> lane_id() & 1) != 0,
                  std::int64_t{p.chunks} * list.num_slots + std::int64_t{chunk} * list.num_merges + segment.merge,
                  range.count);
  }
}

}  // namespace pkv::cuda
