#include "traffic.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace pkv::serving {

Traffic::Traffic(RequestSource& source, const TrafficOptions& options) : source_(source), options_(options) {
  options_.prefill.validate();
  if (!std::isfinite(options_.speed) || options_.speed <= 0.0)
    throw InvalidArgument(fmt::format("speed is {}, must be finite and > 0", options_.speed));
  if (!(options_.seconds > 0.0)) throw InvalidArgument(fmt::format("seconds is {}, must be > 0", options_.seconds));
  if (options_.requests < 1) throw InvalidArgument(fmt::format("requests is {}, must be >= 1", options_.requests));
  if (source.arrival_unit() == ArrivalUnit::kMicroseconds) return;
  if (options_.speed != 1.0 || std::isfinite(options_.seconds))
    throw InvalidArgument("speed and seconds are for arrivals in time: those of this workload count decode steps");
  if (options_.prefill.rule == PrefillRule::kSeparate)
    throw InvalidArgument("prefill is separate, must be inline or none where arrivals count decode steps");
}

/// The next request of the source that counts.
bool Traffic::pull(Waiting& waiting) {
  if (ended_ || pulled_ == options_.requests || !source_.next(waiting.request)) return false;
  waiting.order = pulled_++;
  if (arrival_unit() == ArrivalUnit::kSteps) return true;
  waiting.arrived_us = static_cast<double>(waiting.request.arrival) / options_.speed;
  waiting.ready_us = waiting.arrived_us;
  if (options_.prefill.rule == PrefillRule::kSeparate)
    waiting.ready_us += options_.prefill.us(waiting.request.prompt_tokens);
  return waiting.arrived_us <= options_.seconds * 1e6;
}

bool Traffic::next(Request& request) {
  if (arrival_unit() == ArrivalUnit::kSteps) {
    Waiting waiting;
    if (!pull(waiting)) return false;
    request = std::move(waiting.request);
    return true;
  }
  // Nobody who arrives later than the first in the queue is ready can be ready before it.
  while (!ended_ && (waiting_.empty() || last_arrival_us_ < waiting_.top().ready_us)) {
    Waiting waiting;
    if (!pull(waiting)) {
      ended_ = true;
      break;
    }
    last_arrival_us_ = waiting.arrived_us;
    waiting_.push(std::move(waiting));
  }
  if (waiting_.empty()) return false;
  const Waiting& first = waiting_.top();
  request = first.request;
  // Whole microseconds, not before the prompt is done.
  request.arrival = static_cast<std::int64_t>(std::ceil(std::min(first.ready_us, static_cast<double>(kMaxArrival))));
  arrived_us_.push_back(first.arrived_us);
  waiting_.pop();
  return true;
}

}  // namespace pkv::serving
