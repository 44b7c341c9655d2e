#pragma once

// `stream`'s plan: prefix sums of the rows' costs, and the closed form of arith/stream.hpp. Every warp makes it for
// itself; its lanes find the ends of all the CTA's warps at once. No list is read or written.

#include "arith/stream.hpp"
#include "tile_feeder.cuh"

namespace pkv::cuda {

inline constexpr int kMaxWarps = 8;

/// CTAs that have parts of one unit.
struct Sharers {
  int first;
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
    if (__builtin_expect(step.batch > 32, 0)) {
      const Sum sum = sum_in_cta(step, segment_cost_, shared);
      total_ = sum.total;
      has_empty_rows_ = sum.has_empty_rows;
      rows_per_thread_ = sum.rows_per_thread;
    } else {
      sum_in_warp();
    }
    ctas_ = arith::Runs(total_, stream.workers, stream.tile_tokens.value);
  }

  /// Whether there are rows without tokens. The same for the whole CTA.
  [[nodiscard]] __device__ __forceinline__ bool has_empty_rows() const { return has_empty_rows_; }

  /// Cost at which the run of warp `warp` of a CTA begins; warp == warps: at which the CTA's ends.
  [[nodiscard]] __device__ __forceinline__ std::int64_t begin(int cta, int warp) const {
    const std::int64_t first = ctas_.begin(cta);
    return first + arith::Runs(ctas_.begin(cta + 1) - first, stream_.warps, stream_.tile_tokens.value).begin(warp);
  }

  struct Found {
    Place place;
    std::int64_t unit_begin;  // cost; of no meaning where place.token is 0
  };
  /// The place at a cost, each lane its own. For a whole warp.
  [[nodiscard]] __device__ __forceinline__ Found find(std::int64_t at) const {
    const bool past_end = at >= total_;
    const CostedRow row = __builtin_expect(step_.batch > 32, 0)
                              ? find_in_cta(step_, segment_cost_, shared_, rows_per_thread_, past_end ? 0 : at)
                              : find_in_warp(past_end ? 0 : at);
    const arith::UnitPlace unit =
        arith::place_in_row(past_end ? 0 : at - row.before, row.tokens, segment_cost_, stream_.tile_tokens);
    Found found{{row.row, unit.head, static_cast<int>(unit.tile * stream_.tile_tokens.value), row.tokens},
                row.before + unit.head * (row.tokens + segment_cost_)};
    for (unsigned rest = __ballot_sync(kAllLanes, unit.head == step_.num_units); rest != 0; rest &= rest - 1) {
      const int lane = __ffs(static_cast<int>(rest)) - 1;  // its row's end is nearer than its last tile
      const Row next_row = next(__shfl_sync(kAllLanes, row.row, lane));
      if (lane_id() == lane) found.place = {next_row.row, 0, 0, next_row.tokens};
    }
    if (past_end) found.place = {step_.batch, 0, 0, 0};
    return found;
  }

  /// Who has parts of the unit that each lane's `found` cuts.
  [[nodiscard]] __device__ __forceinline__ Sharers sharers(const Found& found) const {
    const std::int64_t tile = stream_.tile_tokens.value;
    const int tokens = max(found.place.tokens, 1);
    const auto owner = [&](std::int64_t t) {
      return static_cast<int>(ctas_.owner(found.unit_begin + arith::last_cost_of_tile(t, tokens, segment_cost_, tile)));
    };
    const int first = owner(0);
    return {first, owner(stream_.tile_tokens.divide(tokens - 1)) - first + 1};
  }

  /// The next row that is not empty. For a whole warp.
  [[nodiscard]] __device__ __forceinline__ Row next(int row) const {
    if (__builtin_expect(step_.batch > 32, 0)) return load_next_row(step_, row);
    const unsigned later = row < 31 ? live_rows_ >> (row + 1) << (row + 1) : 0u;
    if (later == 0) return {step_.batch, 0};
    const int found = __ffs(static_cast<int>(later)) - 1;
    return {found, __shfl_sync(kAllLanes, tokens_, found)};
  }

 private:
  struct CostedRow {
    int row;
    int tokens;
    std::int64_t before;
  };

  __device__ __forceinline__ static std::int64_t inclusive_sum(std::int64_t x) {
#pragma unroll 1
    for (int d = 1; d < 32; d <<= 1) {
      const std::int64_t y = __shfl_up_sync(kAllLanes, x, d);
      if (lane_id() >= d) x += y;
    }
    return x;
  }

  __device__ __forceinline__ std::int64_t cost(int tokens) const {
    return arith::row_cost(tokens, step_.num_units, segment_cost_);
  }

  __device__ __forceinline__ void sum_in_warp() {
    tokens_ = lane_id() < step_.batch ? row_tokens(step_, lane_id()) : 0;
    live_rows_ = __ballot_sync(kAllLanes, tokens_ > 0);
    has_empty_rows_ = __popc(live_rows_) < step_.batch;
    if (step_.batch == 1) {
      tokens_ = __shfl_sync(kAllLanes, tokens_, 0);
      if (stream_.workers_per_unit.value > 0)
        segment_cost_ = arith::aligned_segment_cost(tokens_, stream_.workers_per_unit);
      total_ = cost(tokens_);
      return;
    }
    const std::int64_t mine = cost(tokens_);
    const std::int64_t through = inclusive_sum(mine);
    before_ = through - mine;
    total_ = __shfl_sync(kAllLanes, through, 31);
  }

  /// The last row that begins at or before `at` is not empty, for the next one begins after it.
  __device__ __forceinline__ CostedRow find_in_warp(std::int64_t at) const {
    if (step_.batch == 1) return {0, tokens_, 0};
    int row = 0;
#pragma unroll 1
    for (int step = 16; step > 0; step >>= 1)
      if (__shfl_sync(kAllLanes, before_, row + step) <= at) row += step;
    return {row, __shfl_sync(kAllLanes, tokens_, row), __shfl_sync(kAllLanes, before_, row)};
  }

  // Of more than 32 rows. Functions of their own, so that steps of few rows need not fetch them; static, so that the
  // plan can stay in registers.

  struct Sum {
    std::int64_t total;
    int rows_per_thread;
    bool has_empty_rows;
  };
  __device__ __noinline__ static Sum sum_in_cta(const StepParams& step, std::int64_t segment_cost, Shared& shared) {
    const int threads = static_cast<int>(blockDim.x), warp = static_cast<int>(threadIdx.x) >> 5;
    Sum sum{0, (step.batch + threads - 1) / threads, false};
    const int first = static_cast<int>(threadIdx.x) * sum.rows_per_thread;
    std::int64_t mine = 0;
#pragma unroll 4
    for (int row = first; row < min(first + sum.rows_per_thread, step.batch); ++row) {
      const int tokens = row_tokens(step, row);
      mine += arith::row_cost(tokens, step.num_units, segment_cost);
      sum.has_empty_rows = sum.has_empty_rows || tokens == 0;
    }
    const std::int64_t through = inclusive_sum(mine);
    if (lane_id() == 31) shared.warp_total[warp] = through;
    sum.has_empty_rows = __syncthreads_or(sum.has_empty_rows) != 0;
    std::int64_t before_warp = 0;
    for (int w = 0; w < threads >> 5; ++w) {
      const std::int64_t of_warp = shared.warp_total[w];
      if (w < warp) before_warp += of_warp;
      sum.total += of_warp;
    }
    shared.before[threadIdx.x] = before_warp + through - mine;
    __syncthreads();
    return sum;
  }

  __device__ __noinline__ static CostedRow find_in_cta(const StepParams& step, std::int64_t segment_cost,
                                                       const Shared& shared, int rows_per_thread, std::int64_t at) {
    const int threads = static_cast<int>(blockDim.x);
    int thread = 0;
#pragma unroll 1
    for (int stride = kMaxWarps * 16; stride > 0; stride >>= 1)
      if (thread + stride < threads && shared.before[thread + stride] <= at) thread += stride;
    std::int64_t before = shared.before[thread];
    const int stop = min((thread + 1) * rows_per_thread, step.batch);
    CostedRow found{thread * rows_per_thread, 0, before};
#pragma unroll 1
    for (int row = found.row; row < stop && before <= at; ++row) {
      const int tokens = row_tokens(step, row);
      if (tokens > 0) found = {row, tokens, before};
      before += arith::row_cost(tokens, step.num_units, segment_cost);
    }
    return found;
  }

  const StepParams& step_;
  const StreamParams& stream_;
  Shared& shared_;
  std::int64_t segment_cost_;
  std::int64_t total_ = 0;
  arith::Runs ctas_;
  bool has_empty_rows_ = false;
  // Of at most 32 rows: this lane's row, and which rows have tokens. Of more: see Shared.
  int tokens_ = 0;
  unsigned live_rows_ = 0;
  std::int64_t before_ = 0;
  int rows_per_thread_ = 1;
};

}  // namespace pkv::cuda
