#include "persistentkv/trace/step_sequence.hpp"

#include "persistentkv/core/error.hpp"
#include "persistentkv/core/step.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace pkv {

StepSequence::StepSequence(std::span<const Request> requests, std::int64_t max_active) : max_active_(max_active) {
  if (max_active < 1 || max_active > kMaxBatch)
    throw InvalidArgument(fmt::format("max_active is {}, must be in [1, {}]", max_active, kMaxBatch));
  validate_requests(requests);
  spans_.reserve(requests.size());
  for (const Request& r : requests) spans_.push_back({r.prompt_tokens, r.arrival, r.arrival + r.decode_tokens});
  by_arrival_.resize(spans_.size());
  std::iota(by_arrival_.begin(), by_arrival_.end(), std::int64_t{0});
  std::stable_sort(by_arrival_.begin(), by_arrival_.end(),
                   [&](std::int64_t a, std::int64_t b) { return spans_[a].arrival < spans_[b].arrival; });
}

void StepSequence::arrive_and_depart() {
  for (; arrived_ < by_arrival_.size(); ++arrived_) {
    const std::int64_t request = by_arrival_[arrived_];
    if (spans_[request].arrival > step_) break;
    candidates_.insert(request);
    departures_.emplace(spans_[request].end, request);
  }
  for (; !departures_.empty() && departures_.top().first <= step_; departures_.pop())
    candidates_.erase(departures_.top().second);
}

bool StepSequence::next(StepRows& step) {
  arrive_and_depart();
  if (candidates_.empty()) {
    if (arrived_ == by_arrival_.size()) return false;
    step_ = spans_[by_arrival_[arrived_]].arrival;
    arrive_and_depart();
  }
  step.step = step_;
  step.rows.clear();
  for (const std::int64_t request : candidates_) {
    if (static_cast<std::int64_t>(step.rows.size()) == max_active_) break;
    const Span& span = spans_[request];
    step.rows.push_back({request, span.prompt_tokens + (step_ - span.arrival)});
  }
  ++step_;
  return true;
}

}  // namespace pkv
