#pragma once

/// The `stream` schedule as it really is: prefix sums and a number of workers. Everything else follows in closed form.

#include "persistentkv/plan/work_plan.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace pkv {

/// All tiles of a step in the order (row, KV head, tile), cut into one contiguous run a worker. A run's cost is its
/// tokens plus segment_cost_tokens for each segment begun, half of it before the segment's tokens and half after; runs
/// differ in cost by less than a tile and a segment's cost (of fewer workers, where all would be shorter than
/// min_run_tokens and ahead_tokens let them be), or, since a KV head of a row of at most uncut_tokens is not
/// cut, by that much and a segment's cost. In steps of at most 128 rows, segments of units that 16 or more workers
/// would share in even runs cost five times as much: who has the ends of two of them joins and merges twice, and should
/// be there first. A run has at most two partial segments: its first and its last. Where all rows that are not empty
/// are alike, and workers can have whole units or units whole workers with few idle (whole_unit_tokens), the cut is
/// made there: nobody has partial results of two units. In the second case segment_cost_tokens is not used.
class StreamCut {
 public:
  StreamCut() = default;

  /// O(batch), and no allocation once the object has seen a batch as large. `lengths` are tokens, <= 0 for an empty
  /// row. Throws InvalidArgument as make_plan does, and for a total cost of more than 2^52 tokens.
  void assign(int num_kv_heads, std::span<const std::int32_t> lengths, const PlanOptions& options);

  [[nodiscard]] int num_workers() const noexcept { return num_workers_; }
  /// Sum of all costs, in tokens.
  [[nodiscard]] std::int64_t total_cost() const noexcept { return cost_before_.empty() ? 0 : cost_before_.back(); }
  /// Cost of all rows before row r, in tokens, all KV heads; [batch + 1].
  [[nodiscard]] std::span<const std::int64_t> cost_before() const noexcept { return cost_before_; }

  /// A place in the flattened space of tiles.
  struct Position {
    std::int32_t row = 0;
    std::int32_t kv_head = 0;
    std::int32_t tile = 0;
    friend bool operator==(const Position&, const Position&) = default;
  };
  /// Where the run of worker w begins, and that of w - 1 ends; w in [0, num_workers]. The end of the space is
  /// (batch, 0, 0). O(log batch).
  [[nodiscard]] Position begin(int worker) const noexcept;

  /// The cut as a list of tasks, for tests, pictures and the CPU. Partials of worker w go to slot 2w + 1 where the
  /// segment begins its row and head, and to slot 2w where it continues one.
  [[nodiscard]] WorkPlan materialize(int num_q_heads, int head_dim) const;

 private:
  void sum_costs();
  [[nodiscard]] std::int64_t segment_cost(std::int32_t row_tokens) const noexcept;

  int num_kv_heads_ = 0;
  int num_workers_ = 0;
  int tile_tokens_ = 0;
  int segment_cost_tokens_ = 0;
  std::int64_t long_row_ = 0;  // from so many tokens on, segments cost more
  int uncut_tokens_ = 0;
  std::int64_t run_tokens_ = 0;   // of each run, in cost
  std::int64_t longer_runs_ = 0;  // the first of them, longer by one
  std::vector<std::int32_t> lengths_;
  std::vector<std::int64_t> cost_before_;
};

}  // namespace pkv
