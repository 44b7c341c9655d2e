#pragma once

// `stream`'s plan, made by every warp for itself where the step is small: prefix sums of the rows' costs, and the
// closed form of arith/stream.hpp. No list is read or written.

#include "arith/stream.hpp"
#include "tile_feeder.cuh"

namespace pkv::cuda {

inline constexpr int kMaxWarps = 8;

/// A unit that other CTAs have parts of too.
struct Sharers {
  int first;  // CTA
  int count;
};

class StreamPlan {
 public:
  struct Shared {
    std::int64_t before[kMaxWarps * 32];
    std::int64_t warp_total[kMaxWarps];
  };

  /// For the whole CTA; `shared` is used where there are more than 32 rows.
  __device__ __forceinline__ StreamPlan(const StepParams& step, const StreamParams& stream, Shared& shared)
      : step_(step), stream_(stream), shared_(shared), segment_cost_(stream.segment_cost_tokens) {
    if (step.batch <= 32) {
      sum_in_warp();
    } else {
      sum_in_cta();
    }
    ctas_ = arith::Runs(total_, stream.workers, stream.tile_tokens.value);
  }

  /// Cost at which the CTA's run begins; that of the CTA after the last ends all.
  [[nodiscard]] __device__ std::int64_t cta_begin(int cta) const { return ctas_.begin(cta); }

  struct Found {
    Place place;
    std::int64_t unit_begin;  // cost; of no meaning where place.token is 0
  };
  /// The place at a cost. For a whole warp.
  [[nodiscard]] __device__ __forceinline__ Found find(std::int64_t at) const {
    if (at >= total_) return {{step_.batch, 0, 0, 0}, 0};
    const CostedRow row = step_.batch <= 32 ? find_in_warp(at) : find_in_cta(at);
    const arith::UnitPlace unit = arith::place_in_row(at - row.before, row.tokens, segment_cost_, stream_.tile_tokens);
    if (unit.head == step_.num_units) {
      const Row next = next_row(step_, row.row);
      return {{next.row, 0, 0, next.tokens}, 0};
    }
    const auto token = static_cast<int>(unit.tile * stream_.tile_tokens.value);
    return {{row.row, unit.head, token, row.tokens}, row.before + unit.head * (row.tokens + segment_cost_)};
  }

  /// Who has parts of the unit that `found` cuts.
  [[nodiscard]] __device__ __forceinline__ Sharers sharers(const Found& found) const {
    const std::int64_t tile = stream_.tile_tokens.value;
    const std::int64_t last_tile = stream_.tile_tokens.divide(found.place.tokens - 1);
    const auto owner = [&](std::int64_t t) {
      return static_cast<int>(
          ctas_.owner(found.unit_begin + arith::last_cost_of_tile(t, found.place.tokens, segment_cost_, tile)));
    };
    const int first = owner(0);
    return {first, owner(last_tile) - first + 1};
  }

 private:
  struct CostedRow {
    int row;
    int tokens;
    std::int64_t before;
  };

  __device__ __forceinline__ static std::int64_t inclusive_sum(std::int64_t x) {
#pragma unroll
    for (int d = 1; d < 32; d <<= 1) {
      const std::int64_t y = __shfl_up_sync(kAllLanes, x, d);
      if (lane_id() >= d) x += y;
    }
    return x;
  }

  __device__ std::int64_t cost(int tokens) const { return arith::row_cost(tokens, step_.num_units, segment_cost_); }

  __device__ __forceinline__ void sum_in_warp() {
    tokens_ = lane_id() < step_.batch ? row_tokens(step_, lane_id()) : 0;
    if (stream_.workers_per_unit.value > 0) {  // a lone row
      tokens_ = __shfl_sync(kAllLanes, tokens_, 0);
      segment_cost_ = arith::aligned_segment_cost(tokens_, stream_.workers_per_unit);
      total_ = cost(tokens_);
      before_ = 0;
      return;
    }
    const std::int64_t mine = cost(tokens_);
    const std::int64_t through = inclusive_sum(mine);
    before_ = through - mine;
    total_ = __shfl_sync(kAllLanes, through, 31);
  }

  __device__ __forceinline__ CostedRow find_in_warp(std::int64_t at) const {
    if (step_.batch == 1) return {0, __shfl_sync(kAllLanes, tokens_, 0), 0};
    const int lane = 31 - __clz(static_cast<int>(__ballot_sync(kAllLanes, tokens_ > 0 && before_ <= at)));
    return {lane, __shfl_sync(kAllLanes, tokens_, lane), __shfl_sync(kAllLanes, before_, lane)};
  }

  __device__ __forceinline__ void sum_in_cta() {
    const int threads = static_cast<int>(blockDim.x), warp = static_cast<int>(threadIdx.x) >> 5;
    rows_per_thread_ = (step_.batch + threads - 1) / threads;
    const int first = static_cast<int>(threadIdx.x) * rows_per_thread_;
    std::int64_t mine = 0;
#pragma unroll 4
    for (int row = first; row < min(first + rows_per_thread_, step_.batch); ++row) mine += cost(row_tokens(step_, row));
    const std::int64_t through = inclusive_sum(mine);
    if (lane_id() == 31) shared_.warp_total[warp] = through;
    __syncthreads();
    std::int64_t before_warp = 0;
    total_ = 0;
    for (int w = 0; w < threads >> 5; ++w) {
      const std::int64_t of_warp = shared_.warp_total[w];
      if (w < warp) before_warp += of_warp;
      total_ += of_warp;
    }
    shared_.before[threadIdx.x] = before_warp + through - mine;
    __syncthreads();
  }

  __device__ __forceinline__ CostedRow find_in_cta(std::int64_t at) const {
    const int warps = static_cast<int>(blockDim.x) >> 5;
    const auto last_begun = [&](bool begun) { return 31 - __clz(static_cast<int>(__ballot_sync(kAllLanes, begun))); };
    const int warp = last_begun(lane_id() < warps && shared_.before[min(lane_id(), warps - 1) * 32] <= at);
    const int thread = warp * 32 + last_begun(shared_.before[warp * 32 + lane_id()] <= at);
    std::int64_t before = shared_.before[thread];
    const int first = thread * rows_per_thread_;
    if (rows_per_thread_ == 1) return {first, row_tokens(step_, first), before};
    const int stop = min(first + rows_per_thread_, step_.batch);
    for (int base = first;; base += 32) {
      const int row = base + lane_id();
      const int tokens = row < stop ? row_tokens(step_, row) : 0;
      const std::int64_t through = before + inclusive_sum(cost(tokens));
      const std::int64_t begin = through - cost(tokens);
      const std::int64_t all = __shfl_sync(kAllLanes, through, 31);
      if (at < all || base + 32 >= stop) {
        const int lane = last_begun(tokens > 0 && begin <= at);
        return {base + lane, __shfl_sync(kAllLanes, tokens, lane), __shfl_sync(kAllLanes, begin, lane)};
      }
      before = all;
    }
  }

  const StepParams& step_;
  const StreamParams& stream_;
  Shared& shared_;
  std::int64_t segment_cost_;
  std::int64_t total_ = 0;
  arith::Runs ctas_;
  // Of at most 32 rows: this lane's. Of more: see Shared.
  int tokens_ = 0;
  std::int64_t before_ = 0;
  int rows_per_thread_ = 1;
};

}  // namespace pkv::cuda
