#pragma once

// A set of times in so few numbers that its curve can still be drawn.

#include "replay/statistics.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace pkv::serving {

/// The shares whose quantiles a Distribution keeps: 0, 0.02, ..., 0.98, 0.99, 0.999 and 1.
[[nodiscard]] std::span<const double> cdf_shares() noexcept;

struct Distribution {
  std::int64_t count = 0;
  replay::Statistics statistics;
  std::vector<double>
      quantiles;  ///< [cdf_shares()], each the smallest value that so many do not exceed; empty for none
};

[[nodiscard]] Distribution distribution_of(std::vector<double> values);

/// Of the median's kind; 0 for no values.
[[nodiscard]] double median_of(std::vector<double> values);

}  // namespace pkv::serving
