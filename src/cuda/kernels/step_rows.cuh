#pragma once

// The rows of a step, from the first to the last that has tokens.

#include "step_access.cuh"

namespace pkv::cuda {

inline constexpr int kLaneRows = 4;               ///< that a lane can hold
inline constexpr int kWarpRows = 32 * kLaneRows;  ///< that every warp holds by itself
inline constexpr int kCachedRows = 1024;

/// At most kWarpRows rows are held by the lanes of every warp, up to kLaneRows neighbours each; of at most kCachedRows,
/// shared memory holds them once the plan is made; of more, they are loaded again when they are needed, which takes as
/// long as the queue of K and V before them.
template <class Form>
class StepRows {
 public:
  static constexpr bool kOneUnit = false;

  __device__ __forceinline__ StepRows(const StepParams& step, int* cache) : step_(step), cache_(cache) {
    if (__builtin_expect(more_than_a_warp_holds(), 0)) return;
    if (__builtin_expect(several_a_lane(), 0)) {
      load_several();
    } else {
      own_.tokens[0] = lane_id() < step.batch ? row_tokens<Form>(step, lane_id()) : 0;
      live_lanes_ = __ballot_sync(kAllLanes, own_.tokens[0] > 0);
    }
  }

  /// The next row that is not empty; each lane may ask for another.
  [[nodiscard]] __device__ __forceinline__ Row next(int row) const {
    if (__builtin_expect(more_than_a_warp_holds(), 0)) return find_next(step_, cache_, row);
    if (__builtin_expect(several_a_lane(), 0)) return next_of_several(own_, live_lanes_, step_.batch, row);
    const unsigned later = live_lanes_ & (~1u << row);
    const int found = __ffs(static_cast<int>(later)) - 1, tokens = __shfl_sync(kAllLanes, own_.tokens[0], found & 31);
    return later == 0 ? Row{step_.batch, 0} : Row{found, tokens};
  }

  [[nodiscard]] __device__ __forceinline__ bool more_than_a_warp_holds() const {
    return Form::kMostRows > kWarpRows && step_.batch > kWarpRows;
  }

  // Of at most 32, lane r has row r.
  [[nodiscard]] __device__ __forceinline__ int own_tokens() const { return own_.tokens[0]; }
  [[nodiscard]] __device__ __forceinline__ int num_live() const { return __popc(live_lanes_); }
  /// Tokens of every row that is not empty, if they are all alike; else 0.
  [[nodiscard]] __device__ __forceinline__ int alike() const {
    const int first =
        __shfl_sync(kAllLanes, own_.tokens[0], live_lanes_ == 0 ? 0 : __ffs(static_cast<int>(live_lanes_)) - 1);
    return __all_sync(kAllLanes, own_.tokens[0] == 0 || own_.tokens[0] == first) != 0 ? first : 0;
  }

  // Of at most kWarpRows, lane r has rows r * kLaneRows and on.
  [[nodiscard]] __device__ __forceinline__ bool several_a_lane() const {
    return Form::kMostRows > 32 && step_.batch > 32;
  }
  [[nodiscard]] __device__ __forceinline__ int own_tokens(int j) const { return own_.tokens[j]; }
  /// Lanes that have rows.
  [[nodiscard]] __device__ __forceinline__ int num_lanes() const {
    return several_a_lane() ? (step_.batch + kLaneRows - 1) / kLaneRows : step_.batch;
  }

  // Of more.
  __device__ __forceinline__ static int load(const StepParams& step, int* cache, int row) {
    const int tokens = row_tokens<Form>(step, row);
    if (row < kCachedRows) cache[row] = tokens;
    return tokens;
  }
  __device__ __forceinline__ static int tokens(const StepParams& step, const int* cache, int row) {
    return row < kCachedRows ? cache[row] : row_tokens<Form>(step, row);
  }

 private:
  __device__ __forceinline__ void load_several() {
    const int first = lane_id() * kLaneRows;
    bool usual = Form::kUsual || step_.plain_lengths;
    if (usual) {
#pragma unroll
      for (int j = 0; j < kLaneRows; ++j) {
        if (first + j < step_.batch) own_.tokens[j] = __ldg(static_cast<const int*>(step_.lengths.data) + first + j);
      }
#pragma unroll
      for (int j = 0; j < kLaneRows; ++j) usual = usual && own_.tokens[j] <= step_.max_row_tokens;
    }
#pragma unroll
    for (int j = 0; j < kLaneRows; ++j) {
      if (__builtin_expect(!usual && first + j < step_.batch, 0))
        own_.tokens[j] = row_tokens_of_any_form(step_, first + j);
      own_.tokens[j] = max(own_.tokens[j], 0);
      own_.live |= own_.tokens[j] > 0 ? 1u << j : 0u;
    }
    live_lanes_ = __ballot_sync(kAllLanes, own_.live != 0);
  }

  struct LaneRows {
    int tokens[kLaneRows];
    unsigned live;  // a bit for each row that is not empty
  };

  // Functions of their own, so that steps of few rows need not fetch them.
  __device__ __noinline__ static Row next_of_several(LaneRows own, unsigned live_lanes, int batch, int row) {
    int lane = row / kLaneRows;
    const unsigned same_lane = __shfl_sync(kAllLanes, own.live, lane) & (~1u << row % kLaneRows);
    const unsigned lanes = live_lanes & (~1u << lane);
    const int next_lane = __ffs(static_cast<int>(lanes)) - 1;
    const unsigned other_lane = __shfl_sync(kAllLanes, own.live, next_lane & 31);
    if (same_lane == 0) lane = next_lane & 31;
    const int j = __ffs(static_cast<int>(same_lane != 0 ? same_lane : other_lane)) - 1;
    int tokens = 0;
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) {
      const int of_lane = __shfl_sync(kAllLanes, own.tokens[i], lane);
      if (i == j) tokens = of_lane;
    }
    return same_lane == 0 && lanes == 0 ? Row{batch, 0} : Row{lane * kLaneRows + j, tokens};
  }

  __device__ __noinline__ static Row find_next(const StepParams& step, const int* cache, int row) {
    int tokens_of_next = 0;
#pragma unroll 1
    do ++row;
    while (row < step.batch && (tokens_of_next = tokens(step, cache, row)) == 0);
    return row < step.batch ? Row{row, tokens_of_next} : Row{step.batch, 0};
  }

  const StepParams& step_;
  int* cache_;
  LaneRows own_ = {};  // live: only where a lane has several
  unsigned live_lanes_ = 0;
};

}  // namespace pkv::cuda
