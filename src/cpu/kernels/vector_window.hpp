#pragma once

// What is read and what is read next, as one list of addresses: so a vector is asked for by its distance.

#include "kernels/decode_args.hpp"

#include <algorithm>

namespace pkv::detail {

/// The K or V vectors of one block and KV head, which are read in one go, and after them those that are read next.
/// Places that a short block leaves over, and one more at the end, repeat its last vector.
class VectorWindow {
 public:
  /// Holds nothing yet, of blocks of so many tokens.
  void reset(int block_tokens) noexcept {
    block_tokens_ = block_tokens;
    next_tokens_ = 0;
  }
  /// Goes on to what was next. What comes after it are vectors[0, tokens) + offset, or nothing if there are no tokens.
  void advance(const char* const* vectors, std::int64_t offset, int tokens) noexcept {
    const char** next = at_ + block_tokens_;
    std::copy_n(next, block_tokens_, at_);
    tokens_ = next_tokens_;
    next_tokens_ = tokens;
    for (int i = 0; i < tokens; ++i) next[i] = vectors[i] + offset;
    std::fill(next + tokens, next + block_tokens_ + 1, next[tokens - 1]);
  }

  /// Vector i in the order of reading; from block_tokens() on, of what is read next.
  [[nodiscard]] const char* operator[](int i) const noexcept { return at_[i]; }
  [[nodiscard]] const char* const* data() const noexcept { return at_; }
  [[nodiscard]] int tokens() const noexcept { return tokens_; }
  [[nodiscard]] int next_tokens() const noexcept { return next_tokens_; }
  [[nodiscard]] int block_tokens() const noexcept { return block_tokens_; }

 private:
  const char* at_[2 * kMaxBlockTokens + 1] = {};
  int block_tokens_ = kMaxBlockTokens;
  int tokens_ = 0;
  int next_tokens_ = 0;
};

}  // namespace pkv::detail
