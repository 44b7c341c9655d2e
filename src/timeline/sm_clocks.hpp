#pragma once

#include "stamps.hpp"

#include <map>

namespace pkv::timeline {

/// Brings the clocks of all SMs to one time: a line through each SM's pairs, by least squares.
class SmClocks {
 public:
  /// Throws InvalidArgument for an SM with fewer than two pairs, or whose clock does not run.
  explicit SmClocks(const std::vector<ClockPair>& pairs);

  /// Nanoseconds since an instant common to all SMs. Throws InvalidArgument for an SM that has no pairs.
  [[nodiscard]] double ns(int sm, std::int64_t clock) const;
  /// How far a pair lies from its SM's line, at most: what times of different SMs may be off.
  [[nodiscard]] double max_error_ns() const noexcept { return max_error_ns_; }

 private:
  struct Line {
    std::int64_t clock = 0;  // of the middle of the pairs
    double ns = 0.0;         // since base_ns_
    double ns_per_cycle = 0.0;
  };

  std::map<int, Line> lines_;
  double max_error_ns_ = 0.0;
};

}  // namespace pkv::timeline
