#include "persistentkv/plan/planner.hpp"

#include "arith/tiles.hpp"
#include "persistentkv/plan/stream_cut.hpp"
#include "plan_builder.hpp"

#include <algorithm>

namespace pkv {

namespace {

// The paper's rules aim at 256 decode CTAs, splits that come in fours, and no split shorter than 4 of them.
constexpr std::int64_t kTargetCtas = 256;
constexpr std::int64_t kMinSplits = 4;
constexpr std::int64_t kBucketTilesPerSplit = 96;
constexpr std::int64_t kBucketMaxSplits = 48;
constexpr std::int64_t kQueueTilesPerSplit = 64;

// Our own for the fused workqueue, in tokens of a task: of at most so many, all tasks of a step can be as long as each
// other; kFusedTasks is less than 128 by what rounding up adds.
constexpr std::int64_t kFusedTasks = 112;
constexpr std::int64_t kFusedLeast = 256;
constexpr std::int64_t kFusedEven = 4096;
constexpr std::int64_t kFusedMost = 2048;
// A few rows of longer tasks: as many of these as run at once, three for each of 128 SMs. Rounding up adds half a task
// a unit.
constexpr std::int64_t kFusedTurn = 384;
constexpr std::int64_t kFusedTurnRows = 8;  // a lone row's 48 splits are as good
constexpr int kFusedMostSplits = 48;

std::int64_t ceil4(std::int64_t x) { return arith::round_up(x, 4); }

std::int64_t splits_to_fill(int num_kv_heads, std::int64_t rows) {
  return arith::ceil_div(kTargetCtas, num_kv_heads * std::max<std::int64_t>(rows, 1));
}

std::int64_t queue_max_splits(std::int64_t rows) {
  if (rows >= 8) return 24;
  if (rows >= 4) return 32;
  return rows == 2 ? 40 : 48;
}

}  // namespace

int bucket_splits(int num_kv_heads, std::int64_t rows, std::int64_t min_tiles, std::int64_t max_tiles) noexcept {
  const std::int64_t wanted =
      ceil4(std::max(splits_to_fill(num_kv_heads, rows), arith::ceil_div(max_tiles, kBucketTilesPerSplit)));
  return static_cast<int>(std::max(kMinSplits, std::min({wanted, kBucketMaxSplits, min_tiles})));
}

int workqueue_splits(int num_kv_heads, std::int64_t rows, std::int64_t tiles) noexcept {
  const std::int64_t wanted =
      std::max(ceil4(splits_to_fill(num_kv_heads, rows)), ceil4(arith::ceil_div(tiles, kQueueTilesPerSplit)));
  return static_cast<int>(std::max(kMinSplits, std::min({wanted, queue_max_splits(rows), tiles})));
}

int workqueue_fused_splits(const FusedStep& step, std::int64_t tiles) noexcept {
  const auto splits_of = [&](std::int64_t task_tokens) {
    const std::int64_t splits = arith::ceil_div(tiles, arith::ceil_div(task_tokens, step.tile_tokens));
    return static_cast<int>(std::max<std::int64_t>(splits, 1));
  };
  const std::int64_t tokens = step.kv_tokens * step.num_kv_heads, units = step.rows * step.num_kv_heads;
  const std::int64_t even = arith::ceil_div(tokens, kFusedTasks);
  if (even <= kFusedEven) return splits_of(std::max(even, kFusedLeast));
  if (units >= 2 * kTargetCtas) return splits_of(kFusedMost);
  if (step.rows > 1 && step.rows <= kFusedTurnRows && units < kFusedTurn)
    return std::min(splits_of(arith::ceil_div(tokens, kFusedTurn - units / 2)), kFusedMostSplits);
  return workqueue_splits(step.num_kv_heads, step.rows, tiles);
}

WorkPlan make_plan(Schedule schedule, const PlanInput& input, const PlanOptions& options) {
  detail::validate(input, options);
  switch (schedule) {
    case Schedule::kExactBuckets:
    case Schedule::kCoarseBuckets:
    case Schedule::kPaddedBucket:
    case Schedule::kSequenceSplit:
      return detail::plan_buckets(schedule, input, options);
    case Schedule::kWorkqueue:
    case Schedule::kWorkqueueFused:
      return detail::plan_workqueue(schedule, input, options);
    case Schedule::kStream:
      break;
  }
  StreamCut cut;
  cut.assign(input.shape.num_kv_heads, input.lengths, options);
  return cut.materialize(input.shape.num_q_heads, input.shape.head_dim);
}

}  // namespace pkv
