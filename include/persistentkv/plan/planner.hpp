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

/// What the fused workqueue goes by, of all rows together.
struct FusedStep {
  int num_kv_heads = 1;
  std::int64_t rows = 0;       // that have tokens
  std::int64_t kv_tokens = 0;  // of all rows
  int tile_tokens = 1;
};

/// Splits of one row of the fused workqueue, where whoever ends last merges alone, while all others are idle: a rule of
/// this project (docs/design/cuda-engine.md has what it was measured by). A short step gets tasks of one length, some
/// 128 of them, but none of less than 256 tokens; one with units (row and KV head) enough for two times the paper's 256
/// CTAs, tasks of at most 2048 tokens; one of 2 to 8 rows and fewer than 384 units, tasks of one length, some 384
/// of them, which an H200 runs at once, but no more than 48 of a row's KV head; any other the paper's splits. At
/// least 1.
[[nodiscard]] int workqueue_fused_splits(const FusedStep& step, std::int64_t tiles) noexcept;

}  // namespace pkv
