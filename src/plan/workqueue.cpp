// The compact workqueue: one task for each non-empty (row, split, KV head), KV head innermost.

#include "plan_builder.hpp"

#include <algorithm>

namespace pkv::detail {

WorkPlan plan_workqueue(Schedule schedule, const PlanInput& input, const PlanOptions& options) {
  PlanBuilder builder(schedule, input, options);
  FusedStep step{.num_kv_heads = builder.num_kv_heads(), .tile_tokens = options.tile_tokens};
  for (const std::int32_t length : input.lengths) {
    if (length <= 0) continue;
    ++step.rows;
    step.kv_tokens += length;
  }
  const auto splits_of = [&](std::int64_t tiles) {
    if (options.splits > 0) return options.splits;
    if (schedule == Schedule::kWorkqueueFused) return workqueue_fused_splits(step, tiles);
    return workqueue_splits(step.num_kv_heads, step.rows, tiles);
  };
  for (std::size_t row = 0; row < input.lengths.size(); ++row) {
    if (input.lengths[row] <= 0) continue;
    const std::int32_t splits = std::min(splits_of(builder.tiles(row)), builder.tiles(row));
    builder.begin_row(row, splits);
    for (std::int32_t s = 0; s < splits; ++s)
      for (std::int32_t h = 0; h < builder.num_kv_heads(); ++h) builder.add_split(row, h, s, splits);
  }
  if (schedule == Schedule::kWorkqueueFused) {
    builder.launch_workers(Launch::Kind::kDecodeMerge);
  } else {
    builder.launch_workers(Launch::Kind::kDecode);
    builder.launch_merges();
  }
  return std::move(builder).build();
}

}  // namespace pkv::detail
