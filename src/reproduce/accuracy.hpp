#pragma once

#include "bench.hpp"

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

namespace pkv::reproduce {

/// Absolute errors of some outputs.
struct Errors {
  double max = 0.0;
  double sum = 0.0;
  std::int64_t count = 0;

  [[nodiscard]] double mean() const noexcept { return count > 0 ? sum / static_cast<double>(count) : 0.0; }
  /// NaN on either side is infinity.
  template <class A, class B>
  void add(std::span<const A> actual, std::span<const B> expected) {
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const double difference = std::abs(static_cast<double>(actual[i]) - static_cast<double>(expected[i]));
      const double error = std::isnan(difference) ? HUGE_VAL : difference;
      max = error > max ? error : max;
      sum += error;
      ++count;
    }
  }
};

/// The paper's gates.
inline constexpr double kMaxErrorGate = 2e-3;
inline constexpr double kMeanErrorGate = 3e-4;

/// A row of the step in FP64: [num_q_heads, head_dim].
[[nodiscard]] std::vector<double> expected_row(const Step& step, std::int64_t row, const RowOnHost& data);

}  // namespace pkv::reproduce
