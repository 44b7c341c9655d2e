#pragma once

// What is said of a set of times.

#include <span>
#include <vector>

namespace pkv::replay {

struct Statistics {
  double mean = 0.0;
  double p50 = 0.0;
  double p95 = 0.0;
  double p99 = 0.0;
  double min = 0.0;
  double max = 0.0;
};

/// The smallest value that at least `share` of all `sorted` values, of which there is one, do not exceed.
[[nodiscard]] double quantile(std::span<const double> sorted, double share) noexcept;

/// Quantiles are the smallest value that at least that share of all values does not exceed. All zeros for no values.
[[nodiscard]] Statistics summarize(std::vector<double> values);

}  // namespace pkv::replay
