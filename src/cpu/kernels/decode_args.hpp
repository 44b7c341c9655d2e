#pragma once

// What a kernel is told: plain pointers and byte strides, the same for every SIMD target.

#include "persistentkv/core/dtype.hpp"
#include "persistentkv/core/index_view.hpp"
#include "persistentkv/core/layer.hpp"
#include "persistentkv/core/page_table_view.hpp"
#include "persistentkv/plan/work_plan.hpp"

#include <algorithm>
#include <cstdint>
#include <span>

namespace pkv::detail {

/// Query heads that the kernels work on together. A group is done in chunks of it, the last one filled up with zeros.
inline constexpr int kChunkHeads = 4;
/// Bytes of a block's K or V: far enough to look ahead, and little enough for the first level of the cache.
inline constexpr int kBlockBytes = 16384;
/// Tokens of a block are a multiple of the first, so that its pieces are even, and at most the second.
inline constexpr int kBlockTokensUnit = 32;
inline constexpr int kMaxBlockTokens = 128;
/// Pieces of a full block that may be walked side by side, a token of each in turn: memory answers several streams of
/// requests sooner than one.
inline constexpr int kPieces = 4;
/// Tokens that a block is filled up to a multiple of.
inline constexpr int kTokensAtOnce = 4;
/// FP32 lanes of the widest vector.
inline constexpr int kMaxLanes = 16;

/// One of K and V: the vector of (page, token, head) begins at data + the sum of index times stride.
struct KvSource {
  const char* data = nullptr;
  std::int64_t page_bytes = 0;
  std::int64_t token_bytes = 0;
  std::int64_t head_bytes = 0;
};

/// One layer's call, as the kernels see it.
struct DecodeArgs {
  const WorkPlan* plan = nullptr;
  PageTableView table;
  int page_size = 0;
  int group_size = 0;
  int head_dim = 0;
  int block_tokens = kBlockTokensUnit;  ///< tokens between two looks at the running maximum: block_tokens_for()
  int ask_near = 0;                     ///< vectors ahead of the one that is read, a multiple of four: Stretch
  int ask_far = 0;                      ///< the same, asked for before; 0: not
  float scale = 1.0f;
  KvSource k;
  KvSource v;
  QueryView q;
  OutputView out;
  LseView lse;             ///< data null: none wanted
  float* slots = nullptr;  // [num_slots, group_size * (head_dim + 2)]: acc [G, d], then max [G], then sum [G]

  /// For K and V of so many bytes a vector.
  [[nodiscard]] static int block_tokens_for(std::int64_t vector_bytes) noexcept {
    const std::int64_t units = kBlockBytes / (vector_bytes * kBlockTokensUnit);
    return static_cast<int>(std::clamp<std::int64_t>(units * kBlockTokensUnit, kBlockTokensUnit, kMaxBlockTokens));
  }
  [[nodiscard]] int num_chunks() const noexcept { return (group_size + kChunkHeads - 1) / kChunkHeads; }
  /// Of q, or acc, of a chunk.
  [[nodiscard]] std::int64_t chunk_floats() const noexcept { return std::int64_t{kChunkHeads} * head_dim; }
  /// Of a block and a chunk.
  [[nodiscard]] std::int64_t chunk_scores() const noexcept { return std::int64_t{block_tokens} * kChunkHeads; }
  [[nodiscard]] std::int64_t slot_floats() const noexcept { return std::int64_t{group_size} * (head_dim + 2); }
  [[nodiscard]] float* slot(std::int32_t index) const noexcept { return slots + index * slot_floats(); }
  /// First element of a row and query head, in elements from q.data; the same for out.
  template <class View>
  [[nodiscard]] static std::int64_t offset(const View& view, std::int64_t row, std::int64_t q_head) noexcept {
    return (view.row_ids ? view.row_ids.at(row) : row) * view.row_stride + q_head * view.head_stride;
  }
};

}  // namespace pkv::detail
