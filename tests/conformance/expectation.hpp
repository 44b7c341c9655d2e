#pragma once

// What the oracle says of a problem, and whether a backend's outputs agree.

#include "conformance/problem.hpp"
#include "persistentkv/reference/reference_decode.hpp"

#include <string>
#include <vector>

namespace pkv::conformance {

/// Of an LSE that was summed in FP32.
inline constexpr double kLseLimit = 1e-4;

class Expectation {
 public:
  /// Asks the oracle about every row and head. Both must outlive this.
  Expectation(const Step& step, const LayerData& data);

  /// What is wrong with the outputs that `data` holds now, the first thing only; empty if nothing is:
  /// - out of each row and head: relative L2 error at most 1e-3 (fp16), 8e-3 (bf16) or 1e-5 (fp32), or 1.5 times that
  ///   of a one-pass FP32 softmax rounded to the type of out; where scores are large, what their rounding in FP32 does
  ///   is allowed too;
  /// - LSE: absolute error, of the natural logarithm, at most `lse_limit`, plus the same allowance;
  /// - empty rows: exactly 0 and -inf;
  /// - nothing outside the rows of the step was touched.
  [[nodiscard]] std::string disagreement(double lse_limit = kLseLimit) const;

  /// Largest and mean absolute error of out.
  struct AbsoluteError {
    double max = 0.0;
    double mean = 0.0;
  };
  [[nodiscard]] AbsoluteError absolute_error() const;

 private:
  [[nodiscard]] const ReferenceResult& at(std::int64_t row, int head) const;
  [[nodiscard]] std::string wrong_out(std::int64_t row, int head) const;
  [[nodiscard]] std::string wrong_lse(std::int64_t row, int head, double lse_limit) const;
  [[nodiscard]] std::string touched_outside() const;

  const Step& step_;
  const LayerData& data_;
  std::vector<ReferenceResult> results_;  // [batch, num_q_heads]
};

}  // namespace pkv::conformance
