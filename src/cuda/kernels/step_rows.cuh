#pragma once

// The rows of a step, from the first to the last that has tokens.

#include "step_access.cuh"

namespace pkv::cuda {

/// Of at most 32 rows, every lane holds one; of more, they are loaded again when they are needed.
class StepRows {
 public:
  __device__ __forceinline__ explicit StepRows(const StepParams& step) : step_(step) {
    if (__builtin_expect(step.batch > 32, 0)) return;
    tokens_ = lane_id() < step.batch ? row_tokens(step, lane_id()) : 0;
    live_ = __ballot_sync(kAllLanes, tokens_ > 0);
  }

  /// The next row that is not empty. For a whole warp.
  [[nodiscard]] __device__ __forceinline__ Row next(int row) const {
    if (__builtin_expect(step_.batch > 32, 0)) return load_next_row(step_, row);
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

 private:
  const StepParams& step_;
  int tokens_ = 0;
  unsigned live_ = 0;
};

}  // namespace pkv::cuda
