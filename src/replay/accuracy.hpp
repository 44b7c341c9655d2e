#pragma once

// How far a route's output is from the FP64 oracle.

#include "persistentkv/core/layer.hpp"
#include "persistentkv/core/step.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace pkv::replay {

/// Errors over all outputs compared so far.
struct Accuracy {
  std::int64_t outputs = 0;  ///< (step, row, query head) compared
  double max_abs = 0.0;
  double sum_abs = 0.0;
  double max_relative_l2 = 0.0;  ///< worst over (row, query head): |out - oracle| / |oracle|, in the L2 norm
  double max_lse = 0.0;          ///< absolute error of the log-sum-exp
  std::int64_t elements = 0;

  [[nodiscard]] double mean_abs() const noexcept {
    return elements > 0 ? sum_abs / static_cast<double>(elements) : 0.0;
  }
};

/// What accuracy a dtype is held to. fp16: the paper's gates, and the relative error of a softmax in FP32 rounded to
/// fp16 with room to spare; bf16 and fp32 in proportion to their precision.
struct AccuracyBounds {
  double max_abs = 0.0;
  double mean_abs = 0.0;
  double relative_l2 = 0.0;
};
[[nodiscard]] AccuracyBounds accuracy_bounds(DType dtype) noexcept;

/// Empty if `accuracy` is within `bounds`, else what is not. A NaN anywhere is not.
[[nodiscard]] std::string why_inaccurate(const Accuracy& accuracy, const AccuracyBounds& bounds);

/// The oracle's results for one step, all rows and query heads, computed once and compared with every route.
class StepOracle {
 public:
  /// Multi-threaded. `step` and `layer` must be valid and in host memory.
  StepOracle(const Step& step, const Layer& layer);

  /// Adds the errors of what `layer` holds now.
  void compare(const Layer& layer, Accuracy& accuracy) const;

 private:
  std::int64_t batch_;
  int num_q_heads_;
  int head_dim_;
  std::vector<double> out_;  // [batch, num_q_heads, head_dim]
  std::vector<double> lse_;  // [batch, num_q_heads]
};

}  // namespace pkv::replay
