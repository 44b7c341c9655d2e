#pragma once

// Where a finished row and query head goes.

#include "kernels/decode_args.hpp"

#include <cmath>
#include <limits>
#include <numbers>

namespace pkv::detail {

/// Writes the LSE of a softmax with sum `sum` of powers of two and their greatest exponent `max`; sum 0 means that
/// nothing was attended.
inline void write_lse(const DecodeArgs& args, std::int64_t row, std::int64_t q_head, float max, float sum) noexcept {
  if (args.lse.data == nullptr) return;
  const std::int64_t lse_row = args.out.row_ids ? args.out.row_ids.at(row) : row;
  float lse = sum == 0.0f ? -std::numeric_limits<float>::infinity() : max + std::log2(sum);
  if (args.lse.base != LseBase::kTwo) lse *= std::numbers::ln2_v<float>;
  args.lse.data[lse_row * args.lse.row_stride + q_head * args.lse.head_stride] = lse;
}

/// The same, and zeros.
inline void write_nothing_attended(const DecodeArgs& args, std::int64_t row, std::int64_t q_head) noexcept {
  const std::int64_t first = DecodeArgs::offset(args.out, row, q_head);
  for (int i = 0; i < args.head_dim; ++i) store_element(args.out.data, args.out.dtype, first + i, 0.0f);
  write_lse(args, row, q_head, 0.0f, 0.0f);
}

}  // namespace pkv::detail
