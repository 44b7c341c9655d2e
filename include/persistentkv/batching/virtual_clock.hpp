#pragma once

/// The time of a simulated serving run: it advances by what steps are said to last, and jumps over idle time.

#include "persistentkv/trace/request.hpp"

#include <cstdint>
#include <deque>

namespace pkv {

/// Arrivals in steps are reached by counting steps, those in microseconds by the time that steps took. Either way the
/// clock tells microseconds; a gap that is jumped over in steps takes none. Not thread-safe.
class VirtualClock {
 public:
  explicit VirtualClock(ArrivalUnit unit) : unit_(unit) {}

  [[nodiscard]] double now_us() const noexcept { return now_us_; }
  [[nodiscard]] bool reached(std::int64_t arrival) const noexcept;

  /// One step passes. Throws InvalidArgument unless step_us is finite and >= 0.
  void advance(double step_us);

  /// To `arrival`, if it has not been reached: nothing happens until then.
  void jump_to(std::int64_t arrival);

  /// When the clock reached `arrival`, which it must have, and which forget_before() must have spared.
  [[nodiscard]] double reached_at_us(std::int64_t arrival) const noexcept;

  /// No earlier arrival will be asked for: where arrivals count steps, the clock remembers 8 bytes for each step since.
  void forget_before(std::int64_t arrival);

 private:
  ArrivalUnit unit_;
  double now_us_ = 0.0;
  std::int64_t step_ = 0;                // steps passed or jumped over
  std::deque<double> step_began_us_{0};  // of the last steps, up to step_; in steps only
};

}  // namespace pkv
