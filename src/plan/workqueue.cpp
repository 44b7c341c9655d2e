// The compact workqueue: one task for each non-empty (row, split, KV head), KV head innermost.

#include "plan_builder.hpp"

#include <algorithm>

namespace pkv::detail {

WorkPlan plan_workqueue(Schedule schedule, const PlanInput& input, const PlanOptions& options) {
  PlanBuilder builder(schedule, input, options);
  const std::int64_t active =
      std::count_if(input.lengths.begin(), input.lengths.end(), [](std::int32_t length) { return length > 0; });
  for (std::size_t row = 0; row < input.lengths.size(); ++row) {
    if (input.lengths[row] <= 0) continue;
    const std::int32_t wanted =
        options.splits > 0 ? options.splits : workqueue_splits(builder.num_kv_heads(), active, builder.tiles(row));
    const std::int32_t splits = std::min(wanted, builder.tiles(row));
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
