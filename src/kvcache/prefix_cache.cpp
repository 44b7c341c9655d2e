#include "persistentkv/kvcache/prefix_cache.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pkv {

PrefixCache::PrefixCache(PagePool& pool, int page_size, std::int64_t block_tokens)
    : pool_(pool), block_tokens_(block_tokens) {
  if (block_tokens < 1) throw InvalidArgument(fmt::format("block_tokens is {}, must be >= 1", block_tokens));
  if (page_size < 1 || block_tokens % page_size != 0) {
    throw InvalidArgument(fmt::format("page_size is {}, must divide the {} tokens of a prefix block to share prefixes",
                                      page_size, block_tokens));
  }
  pages_per_block_ = block_tokens / page_size;
}

std::int64_t PrefixCache::resident_blocks(std::span<const std::int64_t> block_ids, std::int64_t prompt_tokens) const {
  std::int64_t resident = 0;
  PrefixHandle block = kNoPrefix;
  for (const std::int64_t id : full_blocks(block_ids, prompt_tokens)) {
    block = find(id, block);
    if (block == kNoPrefix) break;
    ++resident;
  }
  return resident;
}

PrefixHandle PrefixCache::acquire(std::span<const std::int64_t> block_ids, std::int64_t prompt_tokens,
                                  std::vector<PageId>& pages) {
  const std::span<const std::int64_t> ids = full_blocks(block_ids, prompt_tokens);
  const std::int64_t missing = static_cast<std::int64_t>(ids.size()) - resident_blocks(block_ids, prompt_tokens);
  if (missing * pages_per_block_ > pool_.reserved_pages()) {
    throw InvalidArgument(fmt::format("reserved pages are {}, must be at least {} for {} prefix blocks",
                                      pool_.reserved_pages(), missing * pages_per_block_, missing));
  }
  PrefixHandle last = kNoPrefix;
  for (const std::int64_t id : ids) {
    const PrefixHandle found = find(id, last);
    if (found == kNoPrefix)
      last = insert(id, last);
    else
      share(last = found);
    const std::span<const PageId> own = pages_of(last);
    pages.insert(pages.end(), own.begin(), own.end());
  }
  return last;
}

void PrefixCache::release(PrefixHandle handle) {
  while (handle != kNoPrefix) {
    if (handle < 0 || static_cast<std::size_t>(handle) >= blocks_.size())
      throw InvalidArgument(fmt::format("prefix handle is {}, must be in [0, {})", handle, blocks_.size()));
    Block& block = blocks_[static_cast<std::size_t>(handle)];
    if (block.owners == 0)
      throw InvalidArgument(fmt::format("prefix handle {} has 0 owners, must have at least 1", handle));
    const std::span<const PageId> pages = pages_of(handle);
    std::for_each(pages.rbegin(), pages.rend(), [this](PageId page) { pool_.release(page); });
    if (--block.owners == 0) {
      index_.erase({block.id, block.parent});
      unused_.push_back(handle);
    }
    handle = block.parent;
  }
}

std::span<const std::int64_t> PrefixCache::full_blocks(std::span<const std::int64_t> block_ids,
                                                       std::int64_t prompt_tokens) const noexcept {
  const auto full = static_cast<std::size_t>(std::max<std::int64_t>(prompt_tokens, 0) / block_tokens_);
  return block_ids.first(std::min(block_ids.size(), full));
}

PrefixHandle PrefixCache::find(std::int64_t id, PrefixHandle parent) const {
  const auto found = index_.find({id, parent});
  return found == index_.end() ? kNoPrefix : found->second;
}

PrefixHandle PrefixCache::insert(std::int64_t id, PrefixHandle parent) {
  if (unused_.empty()) {
    blocks_.emplace_back();
    pages_.resize(blocks_.size() * static_cast<std::size_t>(pages_per_block_));
    unused_.push_back(static_cast<PrefixHandle>(blocks_.size() - 1));
  }
  const PrefixHandle block = unused_.back();
  index_.emplace(Key{id, parent}, block);
  unused_.pop_back();
  blocks_[static_cast<std::size_t>(block)] = {id, parent, 1};
  std::ranges::generate(pages_of(block), [this] { return pool_.take_reserved(); });
  return block;
}

void PrefixCache::share(PrefixHandle block) {
  for (const PageId page : pages_of(block)) pool_.retain(page);
  ++blocks_[static_cast<std::size_t>(block)].owners;
}

std::span<PageId> PrefixCache::pages_of(PrefixHandle block) {
  const auto count = static_cast<std::size_t>(pages_per_block_);
  return {pages_.data() + static_cast<std::size_t>(block) * count, count};
}

std::size_t PrefixCache::KeyHash::operator()(const Key& key) const noexcept {
  // The finaliser of SplitMix64: ids are consecutive, and so are handles.
  auto hash = static_cast<std::uint64_t>(key.id) + static_cast<std::uint64_t>(key.parent) * 0x9e3779b97f4a7c15u;
  hash = (hash ^ hash >> 30) * 0xbf58476d1ce4e5b9u;
  hash = (hash ^ hash >> 27) * 0x94d049bb133111ebu;
  return static_cast<std::size_t>(hash ^ hash >> 31);
}

}  // namespace pkv
