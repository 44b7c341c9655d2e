#include "persistentkv/kvcache/sequence_allocator.hpp"

#include "persistentkv/core/error.hpp"
#include "persistentkv/core/step.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pkv {

SequenceAllocator::SequenceAllocator(const SequenceAllocatorOptions& options)
    : pool_(options.num_pages, options.shuffle_seed), page_size_(options.page_size) {
  if (page_size_ < 1 || page_size_ > 1 << 20)
    throw InvalidArgument(fmt::format("page_size is {}, must be in [1, {}]", page_size_, 1 << 20));
  if (options.prefix_block_tokens != 0) prefixes_.emplace(pool_, page_size_, options.prefix_block_tokens);
}

std::optional<SequenceAllocator::Admission> SequenceAllocator::try_admit(
    std::int64_t prompt_tokens, std::int64_t max_tokens, std::span<const std::int64_t> prefix_block_ids) {
  if (prompt_tokens < 1 || prompt_tokens > max_tokens)
    throw InvalidArgument(
        fmt::format("prompt_tokens is {}, must be in [1, max_tokens = {}]", prompt_tokens, max_tokens));
  if (max_tokens > kMaxRowTokens)
    throw InvalidArgument(fmt::format("max_tokens is {}, must be at most {}", max_tokens, kMaxRowTokens));

  Sequence sequence{.max_pages = pages_for_tokens(max_tokens, page_size_)};
  const std::int64_t resident = prefixes_ ? prefixes_->resident_blocks(prefix_block_ids, prompt_tokens) : 0;
  const std::int64_t resident_pages = resident == 0 ? 0 : resident * prefixes_->pages_per_block();
  if (!pool_.try_reserve(sequence.max_pages - resident_pages)) return std::nullopt;

  const std::int32_t slot = tables_.open();
  if (prefixes_) {
    prefix_pages_.clear();
    sequence.prefix = prefixes_->acquire(prefix_block_ids, prompt_tokens, prefix_pages_);
    sequence.prefix_pages = static_cast<std::int64_t>(prefix_pages_.size());
    for (const PageId page : prefix_pages_) tables_.append(slot, page);
  }
  const auto index = static_cast<std::size_t>(slot);
  if (index >= sequences_.size()) sequences_.resize(index + 1);
  sequences_[index] = sequence;
  return Admission{slot, resident_pages * page_size_};
}

void SequenceAllocator::grow(std::int32_t slot, std::int64_t length_tokens) {
  auto held = static_cast<std::int64_t>(tables_.pages(slot).size());
  const std::int64_t max_pages = sequences_[static_cast<std::size_t>(slot)].max_pages;
  if (length_tokens > max_pages * page_size_) {
    throw InvalidArgument(
        fmt::format("length of slot {} is {} tokens, must be at most {}: it was admitted with {} pages "
                    "of {}",
                    slot, length_tokens, max_pages * page_size_, max_pages, page_size_));
  }
  for (; held * page_size_ < length_tokens; ++held) tables_.append(slot, pool_.take_reserved());
}

void SequenceAllocator::release(std::int32_t slot) {
  const std::span<const PageId> pages = tables_.pages(slot);
  const Sequence& sequence = sequences_[static_cast<std::size_t>(slot)];
  // The last page first, so that the next sequence gets them in order, as serving engines do.
  const std::span<const PageId> own = pages.subspan(static_cast<std::size_t>(sequence.prefix_pages));
  std::for_each(own.rbegin(), own.rend(), [this](PageId page) { pool_.release(page); });
  pool_.cancel_reservation(sequence.max_pages - static_cast<std::int64_t>(pages.size()));
  if (prefixes_) prefixes_->release(sequence.prefix);
  tables_.close(slot);
}

}  // namespace pkv
