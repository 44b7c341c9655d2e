#pragma once

// The rows of a step, from the first to the last that has tokens.

#include "step_access.cuh"

namespace pkv::cuda {

inline constexpr int kCachedRows = 1024;

/// Of at most 32 rows, every lane holds one; of at most kCachedRows, shared memory holds them once the plan is made; of
/// more, they are loaded again when they are needed, which takes as long as the queue of K and V before them.
class StepRows {
 public:
  __device__ __forceinline__ StepRows(const StepParams& step, int* cache) : step_(step), cache_(cache) {
    if (__builtin_expect(step.batch > 32, 0)) return;
    tokens_ = lane_id() < step.batch ? row_tokens(step, lane_id()) : 0;
    live_ = __ballot_sync(kAllLanes, tokens_ > 0);
  }

  /// The next row that is not empty. For a whole warp.
  [[nodiscard]] __device__ __forceinline__ Row next(int row) const {
    if (__builtin_expect(step_.batch > 32, 0)) return find_next(step_, cache_, row);
    const unsigned later = row < 31 ? live_ >> (row + 1) << (row + 1) : 0u;
    if (later == 0) return {step_.batch, 0};
    const int found = __ffs(static_cast<int>(later)) - 1;
    return {found, __shfl_sync(kAllLanes, tokens_, found)};
  }

  // Of at most 32 rows.
  [[nodiscard]] __device__ __forceinline__ int own_tokens() const { return tokens_; }
  [[nodiscard]] __device__ __forceinline__ int num_live() const { return __popc(live_); }
  /// Tokens of every row that is not empty, if they are all alike; else 0.
  [[nodiscard]] __device__ __forceinline__ int alike() const {
    const int first = __shfl_sync(kAllLanes, tokens_, live_ == 0 ? 0 : __ffs(static_cast<int>(live_)) - 1);
    return __all_sync(kAllLanes, tokens_ == 0 || tokens_ == first) != 0 ? first : 0;
  }

  // Of more.
  __device__ __forceinline__ static int load(const StepParams& step, int* cache, int row) {
    const int tokens = row_tokens(step, row);
    if (row < kCachedRows) cache[row] = tokens;
    return tokens;
  }
  __device__ __forceinline__ static int tokens(const StepParams& step, const int* cache, int row) {
    return row < kCachedRows ? cache[row] : row_tokens(step, row);
  }

 private:
  __device__ __noinline__ static Row find_next(const StepParams& step, const int* cache, int row) {
#pragma unroll 1
    for (int first = row + 1; first < step.batch; first += 32) {
      const int mine = first + lane_id();
      const int own = mine < step.batch ? tokens(step, cache, mine) : 0;
      const unsigned found = __ballot_sync(kAllLanes, own > 0);
      if (found == 0) continue;
      const int lane = __ffs(static_cast<int>(found)) - 1;
      return {first + lane, __shfl_sync(kAllLanes, own, lane)};
    }
    return {step.batch, 0};
  }

  const StepParams& step_;
  int* cache_;
  int tokens_ = 0;
  unsigned live_ = 0;
};

}  // namespace pkv::cuda
