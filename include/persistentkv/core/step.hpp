#pragma once

/// A decode step: what must be attended. It is the same for every layer; what differs by layer is in Layer.

#include "persistentkv/core/attention_shape.hpp"
#include "persistentkv/core/dtype.hpp"
#include "persistentkv/core/index_view.hpp"
#include "persistentkv/core/kv_cache_view.hpp"
#include "persistentkv/core/page_table_view.hpp"

#include <cstdint>

namespace pkv {

/// The longest row accepted, in tokens. Bounds every sum of tokens over a batch far below 2^63.
inline constexpr std::int64_t kMaxRowTokens = std::int64_t{1} << 30;
/// The largest batch accepted, in rows.
inline constexpr std::int64_t kMaxBatch = std::int64_t{1} << 20;

/// Tokens of each row. A length <= 0 means: nothing to attend, out = 0 and LSE = -inf.
struct LengthsView {
  IndexView values;         ///< [batch], or [batch + 1] running sums where `cumulative`
  bool cumulative = false;  ///< length(r) = values[r + 1] - values[r] (a cu_seqlens array)
  std::int64_t delta = 0;   ///< added to every length, e.g. 1 where the newest token is not counted yet

  /// Length of row r, clamped below at 0. Host memory only.
  [[nodiscard]] std::int64_t at(std::int64_t row) const noexcept {
    const std::int64_t tokens = (cumulative ? values.at(row + 1) - values.at(row) : values.at(row)) + delta;
    return tokens > 0 ? tokens : 0;
  }
};

/// What must be attended in one decode step.
struct Step {
  AttentionShape shape;
  DType dtype = DType::kF16;   ///< of q, K and V
  int page_size = 16;          ///< tokens
  std::int64_t num_pages = 0;  ///< physical pages of the pool
  std::int64_t batch = 0;      ///< rows: active sequences
  LengthsView lengths;
  PageTableView table;

  /// Bytes of K and V that belong to tokens: sum of lengths * Hkv * d * 2 * size of an element. Host lengths only.
  [[nodiscard]] std::int64_t useful_kv_bytes() const noexcept;

  /// Everything that can be known to be wrong before a kernel runs: the shape, negative or overflowing sizes, a length
  /// over its row's table capacity, a page id outside [0, num_pages). Host-resident lengths and tables are read in
  /// full, O(pages); device-resident ones are checked by the kernels. Throws InvalidArgument.
  void validate() const;

  /// The part of validate() that reads no page id: O(batch), for those who need sound lengths before a backend looks at
  /// the rest. Throws InvalidArgument.
  void validate_rows() const;

  /// The other part, for steps that have passed validate_rows(): O(pages) where lengths and table are on the host, else
  /// nothing. Throws InvalidArgument.
  void validate_pages() const;
};

}  // namespace pkv
