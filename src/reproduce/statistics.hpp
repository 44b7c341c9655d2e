#pragma once

#include <span>

namespace pkv::reproduce {

struct MeanStd {
  double mean = 0.0;
  double std = 0.0;  ///< of a sample: over n - 1; 0 for fewer than two values
};

/// Zeros for no values.
[[nodiscard]] MeanStd mean_std(std::span<const double> values);

/// 0 for no values; of an even number the lower of the middle ones.
[[nodiscard]] double median(std::span<const double> values);

}  // namespace pkv::reproduce
