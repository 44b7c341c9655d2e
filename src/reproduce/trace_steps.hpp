#pragma once

// The decode steps of the paper's runs, with their pages.

#include "bench.hpp"
#include "persistentkv/trace/page_assignment.hpp"
#include "persistentkv/trace/paper_runs.hpp"
#include "persistentkv/trace/step_sequence.hpp"

#include <random>
#include <vector>

namespace pkv::reproduce {

inline constexpr int kPageSize = 16;
/// Bytes of a page's K and V, in FP16.
[[nodiscard]] std::int64_t page_bytes(const AttentionShape& shape) noexcept;

/// The steps of one run and seed: requests in pages assigned afresh, each step's rows those that are active.
class TraceSteps {
 public:
  TraceSteps(const PaperRun& run, std::uint32_t seed, const AttentionShape& shape);

  /// False at the end of the trace. `step` is valid until the next call.
  [[nodiscard]] bool next(BenchStep& step);
  [[nodiscard]] std::int64_t num_pages() const noexcept { return pages_.num_physical_pages(); }

 private:
  std::vector<Request> requests_;
  PageAssignment pages_;
  StepSequence sequence_;
  AttentionShape shape_;
  StepRows rows_;
  std::vector<std::int32_t> lengths_, table_, q_row_;
};

/// Steps of the same lengths, each on pages of its own, taken from a shuffled pool.
class Rotation {
 public:
  /// As many steps as it takes to read `least_bytes`, at least two, of `num_pages` pages or fewer. Throws
  /// InvalidArgument where two do not fit.
  Rotation(const std::vector<std::int32_t>& lengths, const AttentionShape& shape, std::int64_t least_bytes,
           std::int64_t num_pages);
  Rotation(const Rotation&) = delete;
  Rotation& operator=(const Rotation&) = delete;

  [[nodiscard]] std::span<const BenchStep> steps() const noexcept { return steps_; }

 private:
  std::vector<std::int32_t> lengths_, q_row_;
  std::vector<std::vector<std::int32_t>> tables_;
  std::vector<BenchStep> steps_;
};

}  // namespace pkv::reproduce
