#pragma once

// The tokens of a worker's segments, block by block, across the borders of pages, segments, heads and rows: so the
// kernel's loop is one, and the block after the current one is known in time to be prefetched.

#include "kernels/decode_args.hpp"

#include <algorithm>

namespace pkv::detail {

/// Consecutive tokens of one segment.
struct TokenBlock {
  const Segment* segment = nullptr;  ///< null: there is no block
  int tokens = 0;
  bool first = false;                ///< of its segment
  bool last = false;                 ///< of its segment
  const char* k[kBlockTokens] = {};  ///< vectors; up to the next multiple of four the last token is repeated
  const char* v[kBlockTokens] = {};
};

class BlockCursor {
 public:
  BlockCursor(const DecodeArgs& args, std::span<const Segment> segments) noexcept
      : args_(args), next_(segments.data()), end_(segments.data() + segments.size()) {
    open();
  }

  /// The next block, or one without a segment at the end.
  void read(TokenBlock& block) noexcept {
    if (next_ == end_) {
      block.segment = nullptr;
      block.tokens = 0;
      return;
    }
    block.segment = next_;
    block.first = first_;
    block.tokens = static_cast<int>(std::min<std::int64_t>(kBlockTokens, token_end_ - token_));
    fill(block);
    token_ += block.tokens;
    block.last = token_ == token_end_;
    first_ = false;
    if (block.last) {
      ++next_;
      open();
    }
  }

 private:
  void open() noexcept {
    if (next_ == end_) return;
    first_ = true;
    token_ = args_.plan->token_begin(*next_);
    token_end_ = args_.plan->token_end(*next_);
    table_base_ = args_.table.base(next_->row);
    k_head_ = args_.k.data + next_->kv_head * args_.k.head_bytes;
    v_head_ = args_.v.data + next_->kv_head * args_.v.head_bytes;
    page_ = token_ / args_.page_size;
    in_page_ = static_cast<int>(token_ % args_.page_size);
  }

  void fill(TokenBlock& block) noexcept {
    int i = 0;
    while (i < block.tokens) {
      const int run = std::min(block.tokens - i, args_.page_size - in_page_);
      const std::int64_t page = args_.table.page(table_base_, page_);
      const char* k = k_head_ + page * args_.k.page_bytes + in_page_ * args_.k.token_bytes;
      const char* v = v_head_ + page * args_.v.page_bytes + in_page_ * args_.v.token_bytes;
      for (const int stop = i + run; i < stop; ++i, k += args_.k.token_bytes, v += args_.v.token_bytes) {
        block.k[i] = k;
        block.v[i] = v;
      }
      in_page_ += run;
      if (in_page_ == args_.page_size) {
        in_page_ = 0;
        ++page_;
      }
    }
    for (; i % kChunkHeads != 0; ++i) {
      block.k[i] = block.k[i - 1];
      block.v[i] = block.v[i - 1];
    }
  }

  const DecodeArgs& args_;
  const Segment* next_;
  const Segment* end_;
  bool first_ = true;
  std::int64_t token_ = 0;
  std::int64_t token_end_ = 0;
  std::int64_t table_base_ = 0;
  std::int64_t page_ = 0;
  int in_page_ = 0;
  const char* k_head_ = nullptr;
  const char* v_head_ = nullptr;
};

}  // namespace pkv::detail
