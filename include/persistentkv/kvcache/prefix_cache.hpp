#pragma once

/// Prompt blocks that live sequences share: the same tokens after the same tokens have the same KV.

#include "persistentkv/kvcache/page_pool.hpp"

#include <cstdint>
#include <memory_resource>
#include <span>
#include <unordered_map>
#include <vector>

namespace pkv {

/// The last shared block of a sequence, which leads to all those before it.
using PrefixHandle = std::int32_t;
inline constexpr PrefixHandle kNoPrefix = -1;

/// Resident blocks as a tree: a block is found by its id under the very block before it, so that one id after two
/// prefixes is two blocks, whatever the trace says. Only full blocks of a prompt take part, which no sequence ever
/// writes again: `block_ids` may name a partial last block, and entries past prompt_tokens / block_tokens are left
/// alone. A block stays resident as long as it has owners; its pages then return to the pool. Not thread-safe.
class PrefixCache {
 public:
  /// Keeps a reference to `pool`. Throws InvalidArgument unless page_size >= 1 divides block_tokens: a page never holds
  /// tokens of two blocks.
  PrefixCache(PagePool& pool, int page_size, std::int64_t block_tokens);
  PrefixCache(const PrefixCache&) = delete;
  PrefixCache& operator=(const PrefixCache&) = delete;

  /// Blocks from the start of the prompt that are resident. The first that is not ends the shared prefix.
  [[nodiscard]] std::int64_t resident_blocks(std::span<const std::int64_t> block_ids, std::int64_t prompt_tokens) const;

  /// Makes the caller an owner of every full block of the prompt, those that are resident and the rest on pages taken
  /// from the pool's reservations, and appends their pages to `pages`. kNoPrefix where there is no full block. Throws
  /// InvalidArgument, and changes nothing, where fewer pages are reserved than the rest needs.
  [[nodiscard]] PrefixHandle acquire(std::span<const std::int64_t> block_ids, std::int64_t prompt_tokens,
                                     std::vector<PageId>& pages);

  /// Gives up what acquire() gave; kNoPrefix is fine. Throws InvalidArgument for a block that has no owner.
  void release(PrefixHandle handle);

  [[nodiscard]] std::int64_t pages_per_block() const noexcept { return pages_per_block_; }
  [[nodiscard]] std::int64_t live_blocks() const noexcept { return static_cast<std::int64_t>(index_.size()); }

 private:
  struct Block {
    std::int64_t id = 0;
    PrefixHandle parent = kNoPrefix;
    std::int32_t owners = 0;
  };
  struct Key {
    std::int64_t id;
    PrefixHandle parent;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept;
  };

  [[nodiscard]] std::span<const std::int64_t> full_blocks(std::span<const std::int64_t> block_ids,
                                                          std::int64_t prompt_tokens) const noexcept;
  [[nodiscard]] PrefixHandle find(std::int64_t id, PrefixHandle parent) const;
  [[nodiscard]] PrefixHandle insert(std::int64_t id, PrefixHandle parent);
  void share(PrefixHandle block);
  [[nodiscard]] std::span<PageId> pages_of(PrefixHandle block);

  PagePool& pool_;
  std::int64_t block_tokens_;
  std::int64_t pages_per_block_;
  std::vector<Block> blocks_;
  std::vector<PageId> pages_;                     // [blocks_.size(), pages_per_block]
  std::vector<PrefixHandle> unused_;              // entries of blocks_ to be used again
  std::pmr::unsynchronized_pool_resource nodes_;  // keeps what index_ frees, for its next insertion
  std::pmr::unordered_map<Key, PrefixHandle, KeyHash> index_{&nodes_};
};

}  // namespace pkv
