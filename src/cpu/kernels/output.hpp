#pragma once

// Where a finished row and query head goes.

#include "kernels/decode_args.hpp"

#include <cmath>
#include <limits>
#include <numbers>

namespace pkv::detail {

/// Writes acc / sum, and the LSE of a softmax with maximum `max` and sum `sum`; sum 0 means that nothing was attended.
inline void write_output(const DecodeArgs& args, std::int64_t row, std::int64_t q_head, const float* acc, float max,
                         float sum) noexcept {
  const float inverse = sum == 0.0f ? 0.0f : 1.0f / sum;
  const std::int64_t first = DecodeArgs::offset(args.out, row, q_head);
  if (args.out.dtype == DType::kF32) {
    float* out = static_cast<float*>(args.out.data) + first;
    for (int i = 0; i < args.head_dim; ++i) out[i] = acc[i] * inverse;
  } else {
    for (int i = 0; i < args.head_dim; ++i) store_element(args.out.data, args.out.dtype, first + i, acc[i] * inverse);
  }
  if (args.lse.data == nullptr) return;
  const std::int64_t lse_row = args.out.row_ids ? args.out.row_ids.at(row) : row;
  float lse = sum == 0.0f ? -std::numeric_limits<float>::infinity() : max + std::log(sum);
  if (args.lse.base == LseBase::kTwo) lse *= std::numbers::log2e_v<float>;
  args.lse.data[lse_row * args.lse.row_stride + q_head * args.lse.head_stride] = lse;
}

}  // namespace pkv::detail
