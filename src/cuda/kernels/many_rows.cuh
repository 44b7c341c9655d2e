#pragma once

// Costs of a step's rows, and of more of them than a warp holds: threads take neighbouring rows each, and shared memory
// has what is before them.

#include "arith/stream.hpp"
#include "step_rows.cuh"

#include <climits>

namespace pkv::cuda {

/// Of the lanes up to this one; `lanes`: the first ones, that have something.
template <class Int>
__device__ __forceinline__ Int inclusive_sum(Int x, int lanes = 32) {
#pragma unroll 1
  for (int d = 1; d < lanes; d <<= 1) {
    const Int y = __shfl_up_sync(kAllLanes, x, d);
    if (lane_id() >= d) x += y;
  }
  return x;
}

template <class Int>
__device__ __forceinline__ Int sum_of_lanes(Int x) {
  if constexpr (sizeof(Int) == 4) return __reduce_add_sync(kAllLanes, x);
  return __shfl_sync(kAllLanes, inclusive_sum<Int>(x), 31);
}

struct Alike {
  int tokens;  // of every row that is not empty; 0: they differ
  int live;    // rows that are not empty
};

/// Of several rows, and then of those of all lanes.
struct RowLengths {
  int shortest;  // of those that are not empty
  int longest;
  int live;  // that are not empty

  __device__ __forceinline__ static RowLengths none() { return {INT_MAX, 0, 0}; }
  __device__ __forceinline__ void add(int tokens) {
    if (tokens > 0) shortest = min(shortest, tokens);
    longest = max(longest, tokens);
    live += tokens > 0 ? 1 : 0;
  }
  __device__ __forceinline__ void join_lanes() {
    shortest = __reduce_min_sync(kAllLanes, shortest);
    longest = __reduce_max_sync(kAllLanes, longest);
    live = __reduce_add_sync(kAllLanes, live);
  }
  [[nodiscard]] __device__ __forceinline__ Alike alike() const { return {shortest == longest ? longest : 0, live}; }
};

template <class Int>
struct CostedRow {
  int row;
  int tokens;
  Int before;  // cost of all rows before it
};

template <class Int>
struct ManyRowsShared {
  int tokens[kCachedRows];     // first, and so in the same place whatever Int is
  Int before[kMaxWarps * 32];  // of a thread's rows
  Int warp_total[kMaxWarps];
  RowLengths warp_lengths[kMaxWarps];
};

/// Functions that are not inlined, so that steps of few rows need not fetch them.
template <class Int, class Form>
struct ManyRows {
  using Shared = ManyRowsShared<Int>;

  struct Sum {
    Int total;
    int rows_per_thread;
    Alike alike;
  };

  /// For the whole CTA.
  __device__ __noinline__ static Sum sum(const StepParams& step, Int segment_cost, Shared& shared) {
    const int threads = static_cast<int>(blockDim.x), warp = static_cast<int>(threadIdx.x) >> 5;
    Sum all{0, (step.batch + threads - 1) / threads, {0, 0}};
    const int first = static_cast<int>(threadIdx.x) * all.rows_per_thread;
    Int mine = 0;
    RowLengths lengths = RowLengths::none();
#pragma unroll 4
    for (int row = first; row < min(first + all.rows_per_thread, step.batch); ++row) {
      const int tokens = StepRows<Form>::load(step, shared.tokens, row);
      mine += arith::row_cost<Int>(tokens, step.num_units, segment_cost);
      lengths.add(tokens);
    }
    const Int through = inclusive_sum<Int>(mine);
    lengths.join_lanes();
    if (lane_id() == 31) {
      shared.warp_total[warp] = through;
      shared.warp_lengths[warp] = lengths;
    }
    __syncthreads();
    // Lanes take a warp each; those past the last, the last again.
    const int warps = threads >> 5, other = min(lane_id(), warps - 1);
    const Int of_warp = lane_id() < warps ? shared.warp_total[other] : 0;
    const Int before_warp = sum_of_lanes<Int>(lane_id() < warp ? of_warp : 0);
    all.total = sum_of_lanes<Int>(of_warp);
    lengths = shared.warp_lengths[other];
    if (lane_id() >= warps) lengths.live = 0;
    lengths.join_lanes();
    all.alike = lengths.alike();
    shared.before[threadIdx.x] = before_warp + through - mine;
    __syncthreads();
    return all;
  }

  /// The last row that begins at or before `at` and is not empty.
  __device__ __noinline__ static CostedRow<Int> find(const StepParams& step, Int segment_cost, const Shared& shared,
                                                     int rows_per_thread, Int at) {
    const int threads = static_cast<int>(blockDim.x);
    int thread = 0;
#pragma unroll 1
    for (int stride = kMaxWarps * 16; stride > 0; stride >>= 1)
      if (thread + stride < threads && shared.before[thread + stride] <= at) thread += stride;
    Int before = shared.before[thread];
    const int stop = min((thread + 1) * rows_per_thread, step.batch);
    CostedRow<Int> found{thread * rows_per_thread, 0, before};
#pragma unroll 1
    for (int row = found.row; row < stop && before <= at; ++row) {
      const int tokens = StepRows<Form>::tokens(step, shared.tokens, row);
      if (tokens > 0) found = {row, tokens, before};
      before += arith::row_cost<Int>(tokens, step.num_units, segment_cost);
    }
    return found;
  }
};

}  // namespace pkv::cuda
