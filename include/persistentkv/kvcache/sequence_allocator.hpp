#pragma once

/// The pages of live sequences, from admission to release: pool, block tables and shared prefixes as one.

#include "persistentkv/core/page_table_view.hpp"
#include "persistentkv/kvcache/block_tables.hpp"
#include "persistentkv/kvcache/page_pool.hpp"
#include "persistentkv/kvcache/prefix_cache.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace pkv {

/// ceil(tokens / page_size), for tokens >= 0 and page_size >= 1.
[[nodiscard]] constexpr std::int64_t pages_for_tokens(std::int64_t tokens, int page_size) noexcept {
  return tokens / page_size + (tokens % page_size != 0 ? 1 : 0);
}

struct SequenceAllocatorOptions {
  std::int64_t num_pages = 0;                                ///< the KV budget, in [1, kMaxPoolPages]
  int page_size = 16;                                        ///< tokens, in [1, 2^20]
  std::optional<std::uint64_t> shuffle_seed = std::nullopt;  ///< see PagePool
  std::int64_t prefix_block_tokens = 0;                      ///< a multiple of page_size, or 0: nothing is shared
};

/// A sequence is admitted only with every page that it can ever need in its own name: resident pages of a shared prefix
/// and reservations. Growing then cannot fail, whatever others do. Not thread-safe.
class SequenceAllocator {
 public:
  /// Throws InvalidArgument, naming the option and its bound.
  explicit SequenceAllocator(const SequenceAllocatorOptions& options);

  struct Admission {
    std::int32_t slot = 0;
    std::int64_t shared_tokens = 0;  ///< of the prompt, found resident
  };

  /// A sequence of `prompt_tokens`, growing to no more than `max_tokens`; nothing, and no change, where the pages are
  /// not to be had now. It holds its shared prefix at once, and nothing else before grow(). `prefix_block_ids` may be
  /// empty. Throws InvalidArgument unless 1 <= prompt_tokens <= max_tokens <= kMaxRowTokens.
  [[nodiscard]] std::optional<Admission> try_admit(std::int64_t prompt_tokens, std::int64_t max_tokens,
                                                   std::span<const std::int64_t> prefix_block_ids);

  /// Pages for the first `length_tokens` tokens, one reserved page after the other. Throws InvalidArgument for a slot
  /// that is not live, or a length that needs more pages than it was admitted with.
  void grow(std::int32_t slot, std::int64_t length_tokens);

  /// The sequence leaves: pages that nobody shares are free at once, and so is what was reserved and never used.
  /// Throws InvalidArgument for a slot that is not live.
  void release(std::int32_t slot);

  /// See BlockTables::pages and BlockTables::dense.
  [[nodiscard]] std::span<const PageId> pages(std::int32_t slot) const { return tables_.pages(slot); }
  [[nodiscard]] PageTableView dense(std::span<const std::int32_t> slots) { return tables_.dense(slots); }

  [[nodiscard]] const PagePool& pool() const noexcept { return pool_; }
  [[nodiscard]] int page_size() const noexcept { return page_size_; }
  [[nodiscard]] std::int64_t live_sequences() const noexcept { return tables_.open_slots(); }
  [[nodiscard]] std::int64_t live_prefix_blocks() const noexcept { return prefixes_ ? prefixes_->live_blocks() : 0; }

 private:
  struct Sequence {
    PrefixHandle prefix = kNoPrefix;
    std::int64_t prefix_pages = 0;
    std::int64_t max_pages = 0;
  };

  PagePool pool_;
  int page_size_;
  BlockTables tables_;
  std::optional<PrefixCache> prefixes_;
  std::vector<Sequence> sequences_;   // [slot]
  std::vector<PageId> prefix_pages_;  // of the sequence being admitted
};

}  // namespace pkv
