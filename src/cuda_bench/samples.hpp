#pragma once

#include <algorithm>
#include <vector>

namespace pkv::cuda_bench {

/// The upper of two middle ones. Not of nothing.
[[nodiscard]] inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace pkv::cuda_bench
