#include "persistentkv/batching/virtual_clock.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace pkv {

bool VirtualClock::reached(std::int64_t arrival) const noexcept {
  return unit_ == ArrivalUnit::kSteps ? arrival <= step_ : static_cast<double>(arrival) <= now_us_;
}

void VirtualClock::advance(double step_us) {
  if (!std::isfinite(step_us) || step_us < 0.0)
    throw InvalidArgument(fmt::format("step_us is {}, must be finite and >= 0", step_us));
  now_us_ += step_us;
  ++step_;
  if (unit_ == ArrivalUnit::kSteps) step_began_us_.push_back(now_us_);
}

void VirtualClock::jump_to(std::int64_t arrival) {
  if (reached(arrival)) return;
  if (unit_ == ArrivalUnit::kSteps) {
    step_ = arrival;
    step_began_us_.assign(1, now_us_);
  } else {
    now_us_ = static_cast<double>(arrival);
  }
}

double VirtualClock::reached_at_us(std::int64_t arrival) const noexcept {
  if (unit_ == ArrivalUnit::kMicroseconds) return static_cast<double>(arrival);
  return step_began_us_[step_began_us_.size() - 1 - static_cast<std::size_t>(step_ - arrival)];
}

void VirtualClock::forget_before(std::int64_t arrival) {
  if (unit_ == ArrivalUnit::kMicroseconds) return;
  const std::int64_t oldest = step_ - static_cast<std::int64_t>(step_began_us_.size()) + 1;
  const std::int64_t forget = std::min(arrival, step_) - oldest;
  if (forget > 0) step_began_us_.erase(step_began_us_.begin(), step_began_us_.begin() + forget);
}

}  // namespace pkv
