#pragma once

// The yardstick: attention as one pass of FP32 arithmetic would give it.

#include "persistentkv/core/layer.hpp"
#include "persistentkv/core/step.hpp"

#include <cstdint>
#include <vector>

namespace pkv::conformance {

struct OnePass {
  std::vector<float> out;    // [head_dim], before rounding to the type of out
  double score_noise = 0.0;  ///< what rounding in FP32 may do to a score, and so to the logarithm of a weight
};

/// Online softmax over the tokens in order, in FP32. The row must not be empty.
[[nodiscard]] OnePass one_pass_decode(const Step& step, const Layer& layer, std::int64_t row, int q_head);

}  // namespace pkv::conformance
