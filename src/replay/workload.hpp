#pragma once

// A sequence of decode steps with pages behind them, wherever it comes from.

#include "persistentkv/batching/continuous_batcher.hpp"
#include "persistentkv/core/page_table_view.hpp"
#include "persistentkv/trace/families.hpp"
#include "persistentkv/trace/page_assignment.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace pkv::replay {

/// One step. Borrowed from the workload until its next call.
struct WorkloadStep {
  std::span<const std::int32_t> lengths;          // [batch] tokens, >= 1
  std::span<const std::int32_t> capacity_tokens;  // [batch] tokens that the row's pages hold
  PageTableView table;
};

class Workload {
 public:
  virtual ~Workload() = default;
  Workload(const Workload&) = delete;
  Workload& operator=(const Workload&) = delete;

  [[nodiscard]] virtual std::string name() const = 0;
  [[nodiscard]] virtual int page_size() const noexcept = 0;
  [[nodiscard]] virtual std::int64_t num_pages() const noexcept = 0;
  [[nodiscard]] virtual ArrivalUnit arrival_unit() const noexcept = 0;

  /// False at the end. Throws what reading the requests throws.
  [[nodiscard]] virtual bool next(WorkloadStep& step) = 0;
  /// The step is over, and took this long on the virtual clock.
  virtual void finish(double step_us) = 0;

  /// What became of the requests, a line each, for people. Checks its own books first: throws InvalidArgument where
  /// they do not balance.
  [[nodiscard]] virtual std::vector<std::string> account() const = 0;

 protected:
  Workload() = default;
};

/// A family as the paper runs it: a fixed page assignment, steps by StepSequence.
[[nodiscard]] std::unique_ptr<Workload> make_family_workload(const FamilyOptions& family,
                                                             const PageAssignmentOptions& pages);

/// Any requests through continuous batching and the page allocator.
[[nodiscard]] std::unique_ptr<Workload> make_batched_workload(std::unique_ptr<RequestSource> source,
                                                              const BatchingOptions& options);

}  // namespace pkv::replay
