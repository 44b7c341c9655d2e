#pragma once

// What all planners share: rows are cut into splits, partials get compact slots, merges list them.

#include "arith/tiles.hpp"
#include "persistentkv/plan/planner.hpp"

#include <cstdint>
#include <utility>
#include <vector>

namespace pkv::detail {

/// Collects the parts of a plan. A row's partial slots are (offset[row] + split) * Hkv + kv_head, the paper's layout.
class PlanBuilder {
 public:
  PlanBuilder(Schedule schedule, const PlanInput& input, const PlanOptions& options);

  [[nodiscard]] std::int32_t length(std::size_t row) const { return parts_.lengths[row]; }
  [[nodiscard]] std::int32_t tiles(std::size_t row) const {
    return arith::num_tiles(parts_.lengths[row], parts_.tile_tokens);
  }
  [[nodiscard]] int num_kv_heads() const { return parts_.num_kv_heads; }

  /// A worker of its own for split s of `splits` of (row, kv_head); idle where the row has fewer tiles than splits.
  void add_split(std::size_t row, std::int32_t kv_head, std::int32_t s, std::int32_t splits);
  /// Gives the row its slots and merges. Call it once, before the row's first add_split, with the same `splits`.
  void begin_row(std::size_t row, std::int32_t splits);

  /// Puts all workers (merges) added since the last such call into one launch. No merges, no launch.
  void launch_workers(Launch::Kind kind);
  void launch_merges();

  void set_groups(std::int32_t groups) { parts_.num_groups = groups; }
  /// See PlanParts::reserved_tokens.
  void set_reserved(std::vector<std::int32_t> tokens) { parts_.reserved_tokens = std::move(tokens); }
  [[nodiscard]] WorkPlan build() &&;

 private:
  [[nodiscard]] std::int32_t effective(std::size_t row, std::int32_t splits) const;

  PlanParts parts_;
  std::vector<std::int32_t> row_slots_;  // offset[row]
  std::int32_t slots_ = 0;               // offset of the next row
  std::int32_t workers_launched_ = 0;
  std::int32_t merges_launched_ = 0;
};

/// Options and input within their bounds, or InvalidArgument.
void validate(const PlanInput& input, const PlanOptions& options);

WorkPlan plan_buckets(Schedule schedule, const PlanInput& input, const PlanOptions& options);
WorkPlan plan_workqueue(Schedule schedule, const PlanInput& input, const PlanOptions& options);

}  // namespace pkv::detail
