#pragma once

/// The ways in which this engine cuts a decode step into work.

#include <array>
#include <cstdint>
#include <string_view>

namespace pkv {

enum class Schedule : std::uint8_t {
  kExactBuckets,    ///< rows of equal length together: a decode and a merge launch for each distinct length
  kCoarseBuckets,   ///< lengths rounded up to bucket_tokens: a rectangular grid for each distinct bucket
  kPaddedBucket,    ///< the limit of it: every row in one grid as wide as the longest
  kSequenceSplit,   ///< one grid, cut as if each row were alone: for one row, or very few
  kWorkqueue,       ///< a task for each non-empty (row, split, KV head), and a second launch that merges
  kWorkqueueFused,  ///< such tasks, by a rule of their own; the last one of a row and head merges
  kStream,          ///< contiguous runs of equal cost, one a worker, merged in the same launch
};

inline constexpr std::array kAllSchedules = {
    Schedule::kExactBuckets, Schedule::kCoarseBuckets,  Schedule::kPaddedBucket, Schedule::kSequenceSplit,
    Schedule::kWorkqueue,    Schedule::kWorkqueueFused, Schedule::kStream,
};

/// "exact-buckets", "coarse-buckets", ...: the names of the CLI, of JSON and of the documents.
[[nodiscard]] std::string_view to_string(Schedule schedule) noexcept;

/// The inverse of to_string. Throws InvalidArgument, naming the schedules there are.
[[nodiscard]] Schedule parse_schedule(std::string_view text);

/// What a caller may decide of a cut. Every default is the paper's, but for `stream`, which the paper has not, and for
/// the splits of the fused workqueue.
struct PlanOptions {
  int tile_tokens = 32;  ///< tokens of the smallest piece of a row; a page may hold many tiles, or a tile span pages
  int splits = 0;        ///< splits of a row; 0: the schedule's own rule. Rows with fewer tiles get one a tile
  int bucket_tokens = 4096;  ///< kCoarseBuckets: lengths round up to a multiple of it, not past a row's pages

  // kStream
  int num_workers = 0;     ///< CTAs or threads that share the step; required, >= 1
  int min_run_tokens = 0;  ///< the least a worker is given, in cost; less than a tile: a tile
  /// Tokens of a worker that are loaded before the kernel ahead of it has ended. Even shares up to that are made half
  /// as long again, and no run is shorter than half as long again as the lesser of the two: about a third of the
  /// workers get nothing, and the next kernel begins in their places. 0: off; but for a launch that may overlap
  /// another, with num_workers and min_run_tokens 0 too, a GPU takes what its CTAs' rings hold.
  int ahead_tokens = 0;
  int segment_cost_tokens = 32;  ///< what beginning a segment costs, in tokens of reading; >= 0
  int uncut_tokens = 64;         ///< a row's KV head of at most so many tokens is not cut; >= 0
  /// Where rows are alike, KV heads get whole workers, or workers whole KV heads, although some workers are then idle:
  /// as long as the idle ones would have taken at most so many tokens off each other one (in the second case, where
  /// nothing is left to merge, twice as many). Beyond, rows are cut as if they differed.
  int whole_unit_tokens = 160;  ///< in [0, kMaxWholeUnitTokens]
  static constexpr int kMaxWholeUnitTokens = 65535;
};

}  // namespace pkv
