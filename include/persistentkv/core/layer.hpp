#pragma once

/// The tensors of one layer's call: `run` is given one for every layer of a step.

#include "persistentkv/core/kv_cache_view.hpp"
#include "persistentkv/core/step.hpp"

#include <cstdint>
#include <optional>

namespace pkv {

/// One token's vectors for each row. Element (row r, head h, i) stands at
/// data[(row_ids ? row_ids[r] : r) * row_stride + h * head_stride + i]; strides are in elements.
struct QueryView {
  const void* data = nullptr;  // [num_rows, num_q_heads, head_dim], strided
  DType dtype = DType::kF16;   ///< must be the step's
  std::int64_t num_rows = 0;   ///< rows behind data: bounds row_ids
  std::int64_t row_stride = 0;
  std::int64_t head_stride = 0;
  IndexView row_ids;  ///< optional [batch]
};

/// Where the result goes; indexed as QueryView is.
struct OutputView {
  void* data = nullptr;       // [num_rows, num_q_heads, head_dim], strided
  DType dtype = DType::kF16;  ///< the step's, or fp32
  std::int64_t num_rows = 0;
  std::int64_t row_stride = 0;
  std::int64_t head_stride = 0;
  IndexView row_ids;  ///< optional [batch]; rows that name one output row race: not checked
};

enum class LseBase : std::uint8_t { kNatural, kTwo };

/// Log-sum-exp of the scaled scores, FP32, so that callers can merge with attention over other tokens.
struct LseView {
  float* data = nullptr;         // [num_rows, num_q_heads], strided, rows as in OutputView
  std::int64_t row_stride = 0;   ///< elements
  std::int64_t head_stride = 1;  ///< elements
  LseBase base = LseBase::kNatural;
};

struct Layer {
  KvCacheView kv;
  QueryView q;
  OutputView out;
  std::optional<LseView> lse;

  /// A layer over dense [batch, num_q_heads, head_dim] q and out of the step's dtype, without LSE.
  [[nodiscard]] static Layer dense(const Step& step, const KvCacheView& kv, const void* q, void* out);

  /// Throws InvalidArgument: null pointers, dtypes, page sizes or pools that are not the step's, overlapping strides,
  /// row ids out of range. O(batch), and no allocation unless it throws.
  void validate(const Step& step) const;
};

}  // namespace pkv
