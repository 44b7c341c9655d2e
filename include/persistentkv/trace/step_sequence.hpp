#pragma once

/// Requests with arrivals in steps, turned into decode steps the way the PersistentKV study does it.

#include "persistentkv/trace/request.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <queue>
#include <set>
#include <span>
#include <utility>
#include <vector>

namespace pkv {

struct StepRow {
  std::int64_t request = 0;        ///< index of the request
  std::int64_t length_tokens = 0;  ///< what the row attends: prompt + (step - arrival)

  friend bool operator==(const StepRow&, const StepRow&) = default;
};

/// One decode step that is not empty.
struct StepRows {
  std::int64_t step = 0;      ///< on the arrivals' clock; steps with nothing to do are left out
  std::vector<StepRow> rows;  ///< [1, max_active], by request index
};

/// At step s a request is a candidate while 0 <= s - arrival < decode_tokens, and the first max_active candidates by
/// index are active. So a request that waits ages all the same, and may never run. No admission, no memory limit.
/// A step costs O(rows) plus O(log requests) for each arrival and departure; idle stretches are jumped over.
class StepSequence {
 public:
  /// Arrivals count steps, in any order. Keeps no reference to `requests`. Throws InvalidArgument: max_active outside
  /// [1, kMaxBatch], or a request out of bounds (validate_requests).
  StepSequence(std::span<const Request> requests, std::int64_t max_active);

  /// False when every request has left. Reuses `step`'s storage.
  [[nodiscard]] bool next(StepRows& step);

 private:
  struct Span {
    std::int64_t prompt_tokens;
    std::int64_t arrival;
    std::int64_t end;  // the first step at which it is no candidate any more
  };
  using Departure = std::pair<std::int64_t, std::int64_t>;  // end, request

  void arrive_and_depart();

  std::vector<Span> spans_;               // [requests]
  std::vector<std::int64_t> by_arrival_;  // [requests] indices
  std::size_t arrived_ = 0;               // of by_arrival_
  std::set<std::int64_t> candidates_;
  std::priority_queue<Departure, std::vector<Departure>, std::greater<>> departures_;
  std::int64_t max_active_;
  std::int64_t step_ = 0;
};

}  // namespace pkv
