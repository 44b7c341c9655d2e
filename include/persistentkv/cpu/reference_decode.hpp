#pragma once

/// The oracle: decode attention in FP64, written for clarity. Knows nothing of plans.

#include "persistentkv/core/layer.hpp"
#include "persistentkv/core/step.hpp"

#include <cstdint>
#include <vector>

namespace pkv {

/// One row and query head.
struct ReferenceResult {
  std::vector<double> out;  // [head_dim]
  double lse = 0.0;         ///< natural log; -inf for an empty row
};

/// Attention of query head `q_head` of row `row`, in one pass over its tokens for the maximum and one for the sums.
/// `step` and `layer` must have been validated.
[[nodiscard]] ReferenceResult reference_decode(const Step& step, const Layer& layer, std::int64_t row, int q_head);

}  // namespace pkv
