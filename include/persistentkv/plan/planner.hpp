#pragma once

/// Steps in, plans out. Pure arithmetic: no threads, no GPU, no files.

#include "persistentkv/core/attention_shape.hpp"
#include "persistentkv/plan/schedule.hpp"
#include "persistentkv/plan/work_plan.hpp"

#include <cstdint>
#include <span>

namespace pkv {

/// What a plan depends on.
struct PlanInput {
  AttentionShape shape;
  std::span<const std::int32_t> lengths;  // [batch] tokens; <= 0: an empty row
  /// Tokens that each row's allocated pages hold, [batch], or empty where that is not known: coarse buckets do not
  /// round a length past it.
  std::span<const std::int32_t> capacity_tokens;
};

/// The plan of `schedule` for one step, in time linear in its tasks. Throws InvalidArgument for a bad shape, a length
/// over kMaxRowTokens, a batch over kMaxBatch, a tile, split or worker count out of bounds, or a plan of more than
/// 2^30 tasks.
[[nodiscard]] WorkPlan make_plan(Schedule schedule, const PlanInput& input, const PlanOptions& options = {});

/// Splits of a bucket's rows by the paper's rule: fill the GPU, bound the tiles of a split, never exceed 48.
/// `rows` is the bucket's; tiles are those of its shortest and longest row. At least 4.
[[nodiscard]] int bucket_splits(int num_kv_heads, std::int64_t rows, std::int64_t min_tiles,
                                std::int64_t max_tiles) noexcept;

/// Splits of one row of the workqueue by the paper's rule. `rows` counts the active rows of the step. At least 4.
[[nodiscard]] int workqueue_splits(int num_kv_heads, std::int64_t rows, std::int64_t tiles) noexcept;

}  // namespace pkv
