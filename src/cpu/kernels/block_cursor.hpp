#pragma once

// The tokens of a worker's segments, block by block, across the borders of pages, segments, heads and rows: so the
// kernel's loop is one, and the block after the current one is known in time to be prefetched.
//
// Segments that stand one after the other and differ only in their KV head go together: their vectors are neighbours
// in memory, and memory that is read in its own order is read faster.

#include "kernels/decode_args.hpp"

#include <algorithm>

namespace pkv::detail {

/// Segments that go together, at most.
inline constexpr int kMaxTogether = 8;

/// The same consecutive tokens of segments that go together, in any order.
struct TokenBlock {
  const Segment* segments = nullptr;
  int lanes = 0;       ///< segments that go together; 0: there is no block
  int tokens = 0;      ///< of each
  bool first = false;  ///< of its segments
  bool last = false;   ///< of its segments
  /// Vectors of the first segment's KV head, the last one repeated up to places(), then those of the head after it,
  /// whose last one is repeated to the end.
  const char* k[3 * kMaxBlockTokens] = {};
  const char* v[3 * kMaxBlockTokens] = {};

  /// The kernels take tokens by fours.
  [[nodiscard]] static int places_for(int tokens) noexcept {
    return (tokens + kTokensAtOnce - 1) / kTokensAtOnce * kTokensAtOnce;
  }
  [[nodiscard]] int places() const noexcept { return places_for(tokens); }
};

class BlockCursor {
 public:
  BlockCursor(const DecodeArgs& args, std::span<const Segment> segments) noexcept
      : args_(args), next_(segments.data()), end_(segments.data() + segments.size()) {
    open();
  }

  /// The next block, or one of no lanes at the end.
  void read(TokenBlock& block) noexcept {
    if (next_ == end_) {
      block.lanes = block.tokens = 0;
      return;
    }
    block.segments = next_;
    block.lanes = together_;
    block.first = token_ == token_begin_;
    block.tokens = static_cast<int>(std::min<std::int64_t>(args_.block_tokens, token_end_ - token_));
    block.last = token_ + block.tokens == token_end_;
    fill(block);
    token_ += block.tokens;
    if (block.last) {
      next_ += together_;
      open();
    }
  }

 private:
  void open() noexcept {
    if (next_ == end_) return;
    token_ = token_begin_ = args_.plan->token_begin(*next_);
    token_end_ = args_.plan->token_end(*next_);
    table_base_ = args_.table.base(next_->row);
    together_ = 1;
    while (together_ < kMaxTogether && next_ + together_ < end_ && follows(next_[together_ - 1], next_[together_]))
      ++together_;
    // Pieces side by side are worth it where they lie in several pages: measured.
    const bool pieces = 2 * args_.page_size <= args_.block_tokens;
    apart_ = pieces ? kPieces : 1;
  }

  static bool follows(const Segment& a, const Segment& b) noexcept {
    return b.row == a.row && b.kv_head == a.kv_head + 1 && b.tile_begin == a.tile_begin && b.tile_end == a.tile_end;
  }

  /// A full block is walked by pieces side by side: neighbours stand apart_ apart.
  void fill(TokenBlock& block) const noexcept {
    const int apart = block.tokens == args_.block_tokens ? apart_ : 1;
    int at = 0;
    const char* k_head = args_.k.data + block.segments->kv_head * args_.k.head_bytes;
    const char* v_head = args_.v.data + block.segments->kv_head * args_.v.head_bytes;
    std::int64_t page = token_ / args_.page_size;
    int in_page = static_cast<int>(token_ % args_.page_size);
    for (int i = 0; i < block.tokens; ++page, in_page = 0) {
      const int stop = std::min(block.tokens, i + args_.page_size - in_page);
      const std::int64_t id = args_.table.page(table_base_, page);
      const char* k = k_head + id * args_.k.page_bytes + in_page * args_.k.token_bytes;
      const char* v = v_head + id * args_.v.page_bytes + in_page * args_.v.token_bytes;
      for (; i < stop; ++i, k += args_.k.token_bytes, v += args_.v.token_bytes) {
        block.k[at] = k;
        block.v[at] = v;
        at += apart;
        if (at >= block.tokens) at -= block.tokens - 1;
      }
    }
    continue_list(block.k, block.tokens, args_.k.head_bytes);
    continue_list(block.v, block.tokens, args_.v.head_bytes);
  }

  static void continue_list(const char** list, int tokens, std::ptrdiff_t head_bytes) noexcept {
    const int places = TokenBlock::places_for(tokens);
    const char** next_head = list + places;
    std::fill(list + tokens, next_head, list[tokens - 1]);
    for (int i = 0; i < places; ++i) next_head[i] = list[i] + head_bytes;
    std::fill_n(next_head + places, kMaxBlockTokens, next_head[places - 1]);
  }

  const DecodeArgs& args_;
  const Segment* next_;  // the first of those under way
  const Segment* end_;
  int together_ = 1;
  int apart_ = 1;
  std::int64_t token_ = 0;
  std::int64_t token_begin_ = 0;
  std::int64_t token_end_ = 0;
  std::int64_t table_base_ = 0;
};

}  // namespace pkv::detail
