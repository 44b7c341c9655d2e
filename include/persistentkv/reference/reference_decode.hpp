#pragma once

/// The oracle: decode attention in FP64, written for clarity. Knows nothing of plans, tiles or threads.

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

/// Attention of query head `q_head` of row `row`:
///   x_t = scale * q . k_t,  lse = log sum_t exp(x_t),  out = sum_t exp(x_t - lse) v_t
/// with the largest x_t found before any exponential is taken. Reads host memory only, and of K and V only what the
/// row's length covers. `step` and `layer` must have been validated; `row` must lie in [0, batch), `q_head` in
/// [0, num_q_heads). Safe to call from many threads at once.
[[nodiscard]] ReferenceResult reference_decode(const Step& step, const Layer& layer, std::int64_t row, int q_head);

/// The same for all query heads of one KV head, in their order: each element of K and V is widened once for all of
/// them, which makes it the one to check whole steps with. `kv_head` must lie in [0, num_kv_heads).
[[nodiscard]] std::vector<ReferenceResult> reference_decode_group(const Step& step, const Layer& layer,
                                                                  std::int64_t row, int kv_head);

}  // namespace pkv
