#include "persistentkv/kvcache/sequence_allocator.hpp"

#include "persistentkv/core/error.hpp"
#include "persistentkv/core/step.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <random>
#include <set>
#include <vector>

namespace pkv {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(SequenceAllocator, PagesForTokensRoundsUp) {
  EXPECT_EQ(pages_for_tokens(0, 16), 0);
  EXPECT_EQ(pages_for_tokens(1, 16), 1);
  EXPECT_EQ(pages_for_tokens(16, 16), 1);
  EXPECT_EQ(pages_for_tokens(17, 16), 2);
  EXPECT_EQ(pages_for_tokens(std::numeric_limits<std::int64_t>::max(), 1), std::numeric_limits<std::int64_t>::max());
}

TEST(SequenceAllocator, RandomSequencesOwnTheirPagesAlone) {
  const std::uint32_t seed = std::random_device{}();
  SCOPED_TRACE(::testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  constexpr int kPageSize = 8;
  constexpr std::int64_t kPages = 200;
  SequenceAllocator allocator({.num_pages = kPages, .page_size = kPageSize, .shuffle_seed = seed});
  struct Live {
    std::int32_t slot;
    std::int64_t length;
    std::int64_t max_tokens;
  };
  std::vector<Live> live;
  const auto promised = [&] {
    std::int64_t pages = 0;
    for (const Live& sequence : live) pages += (sequence.max_tokens + kPageSize - 1) / kPageSize;
    return pages;
  };
  for (int i = 0; i < 20000; ++i) {
    const unsigned choice = random() % 10;
    if (choice == 0) {
      const std::int64_t prompt = 1 + random() % 300;
      const std::int64_t max_tokens = prompt + random() % 200;
      const bool fits = promised() + (max_tokens + kPageSize - 1) / kPageSize <= kPages;
      const auto admission = allocator.try_admit(prompt, max_tokens, {});
      ASSERT_EQ(admission.has_value(), fits);
      if (fits) live.push_back({admission->slot, 0, max_tokens});
    } else if (choice == 1 && !live.empty()) {
      std::swap(live[random() % live.size()], live.back());
      allocator.release(live.back().slot);
      live.pop_back();
    } else if (!live.empty()) {
      Live& sequence = live[random() % live.size()];
      sequence.length = std::min<std::int64_t>(sequence.max_tokens, sequence.length + random() % 20);
      allocator.grow(sequence.slot, sequence.length);
    }
    std::set<PageId> owned;
    std::int64_t pages = 0;
    for (const Live& sequence : live) {
      const auto own = allocator.pages(sequence.slot);
      ASSERT_EQ(own.size(), static_cast<std::size_t>((sequence.length + kPageSize - 1) / kPageSize));
      owned.insert(own.begin(), own.end());
      pages += static_cast<std::int64_t>(own.size());
    }
    ASSERT_EQ(static_cast<std::int64_t>(owned.size()), pages) << "a page is in two sequences";
    ASSERT_EQ(allocator.pool().used_pages(), pages);
    ASSERT_EQ(allocator.pool().used_pages() + allocator.pool().reserved_pages(), promised());
    ASSERT_EQ(allocator.live_sequences(), static_cast<std::int64_t>(live.size()));
  }
}

/// Of the neighbours in a sequence, the share that are neighbours in memory.
double contiguity(std::span<const PageId> pages) {
  int neighbours = 0;
  for (std::size_t i = 1; i < pages.size(); ++i) neighbours += pages[i] == pages[i - 1] + 1 ? 1 : 0;
  return neighbours / static_cast<double>(pages.size() - 1);
}

TEST(SequenceAllocator, PoolsInUseFragment) {
  constexpr int kPageSize = 16;
  SequenceAllocator allocator({.num_pages = 400, .page_size = kPageSize});
  const auto fresh = allocator.try_admit(1600, 1600, {});
  allocator.grow(fresh->slot, 1600);
  EXPECT_EQ(contiguity(allocator.pages(fresh->slot)), 1.0);
  allocator.release(fresh->slot);

  // Eight sequences grow by turns, so that their pages interleave; every other one leaves.
  std::vector<std::int32_t> slots;
  for (int i = 0; i < 8; ++i) slots.push_back(allocator.try_admit(16, 800, {})->slot);
  for (std::int64_t length = kPageSize; length <= 800; length += kPageSize)
    for (const std::int32_t slot : slots) allocator.grow(slot, length);
  for (std::size_t i = 0; i < slots.size(); i += 2) allocator.release(slots[i]);
  const auto later = allocator.try_admit(1600, 1600, {});
  allocator.grow(later->slot, 1600);
  EXPECT_EQ(contiguity(allocator.pages(later->slot)), 0.0);
}

TEST(SequenceAllocator, AnAdmittedSequenceGrowsWhateverOthersTake) {
  SequenceAllocator allocator({.num_pages = 10, .page_size = 4});
  const auto first = allocator.try_admit(4, 24, {});
  allocator.grow(first->slot, 4);
  const auto second = allocator.try_admit(16, 16, {});
  ASSERT_TRUE(second.has_value());
  EXPECT_FALSE(allocator.try_admit(1, 1, {}).has_value()) << "one page is used, nine are promised";
  allocator.grow(second->slot, 16);
  allocator.grow(first->slot, 24);
  EXPECT_EQ(allocator.pool().free_pages(), 0);
  EXPECT_THAT([&] { allocator.grow(first->slot, 25); },
              ThrowsMessage<InvalidArgument>(HasSubstr("is 25 tokens, must be at most 24")));
}

TEST(SequenceAllocator, SharingSavesPagesAndGivesThemBack) {
  const std::vector<std::int64_t> ids{10, 11, 12};
  SequenceAllocator allocator({.num_pages = 100, .page_size = 16, .shuffle_seed = 3, .prefix_block_tokens = 64});
  const auto first = allocator.try_admit(150, 200, ids);  // two full blocks, 8 pages, of 13
  EXPECT_EQ(first->shared_tokens, 0);
  const auto second = allocator.try_admit(150, 200, ids);
  EXPECT_EQ(second->shared_tokens, 128);
  EXPECT_EQ(allocator.pool().used_pages() + allocator.pool().reserved_pages(), 13 + 5);
  allocator.grow(first->slot, 200);
  allocator.grow(second->slot, 200);
  EXPECT_EQ(allocator.pool().used_pages(), 13 + 5);
  const auto a = allocator.pages(first->slot);
  const auto b = allocator.pages(second->slot);
  for (std::size_t i = 0; i < 13; ++i) EXPECT_EQ(a[i] == b[i], i < 8) << "page " << i;

  allocator.release(first->slot);
  EXPECT_EQ(allocator.pool().used_pages(), 13) << "the second still owns the prefix";
  EXPECT_EQ(allocator.try_admit(150, 200, ids)->shared_tokens, 128);
  allocator.release(first->slot);  // the slot is used again
  allocator.release(second->slot);
  EXPECT_EQ(allocator.pool().free_pages(), 100);
  EXPECT_EQ(allocator.live_prefix_blocks(), 0);
  EXPECT_EQ(allocator.try_admit(150, 200, ids)->shared_tokens, 0) << "nobody kept the prefix";
}

TEST(SequenceAllocator, AResidentPrefixNeedsNoReservation) {
  SequenceAllocator allocator({.num_pages = 9, .page_size = 8, .prefix_block_tokens = 32});
  const std::vector<std::int64_t> ids{1, 2};
  ASSERT_TRUE(allocator.try_admit(56, 56, ids).has_value());  // 7 of 9 pages, one block shared
  EXPECT_FALSE(allocator.try_admit(56, 56, {}).has_value());
  EXPECT_FALSE(allocator.try_admit(56, 56, ids).has_value()) << "3 pages of its own";
  EXPECT_TRUE(allocator.try_admit(40, 48, ids).has_value()) << "2 pages of its own";
  EXPECT_EQ(allocator.pool().available_pages(), 0);
}

TEST(SequenceAllocator, HostileValuesAreNamed) {
  const auto made = [](const SequenceAllocatorOptions& options) {
    return [options] { SequenceAllocator allocator(options); };
  };
  EXPECT_THAT(made({.num_pages = 0}), ThrowsMessage<InvalidArgument>(HasSubstr("num_pages is 0")));
  for (const int page_size : {0, -1, (1 << 20) + 1})
    EXPECT_THAT(made({.num_pages = 1, .page_size = page_size}),
                ThrowsMessage<InvalidArgument>(HasSubstr("must be in [1, 1048576]")));
  EXPECT_THAT(made({.num_pages = 1, .page_size = 48, .prefix_block_tokens = 512}),
              ThrowsMessage<InvalidArgument>(HasSubstr("page_size is 48, must divide the 512")));

  SequenceAllocator allocator({.num_pages = 4});
  constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();
  EXPECT_THAT([&] { (void)allocator.try_admit(0, 5, {}); },
              ThrowsMessage<InvalidArgument>(HasSubstr("prompt_tokens is 0, must be in [1, max_tokens = 5]")));
  EXPECT_THROW((void)allocator.try_admit(6, 5, {}), InvalidArgument);
  EXPECT_THAT([&] { (void)allocator.try_admit(1, kHuge, {}); },
              ThrowsMessage<InvalidArgument>(HasSubstr("must be at most 1073741824")));
  EXPECT_THROW(allocator.grow(0, 1), InvalidArgument);
  EXPECT_THROW(allocator.release(0), InvalidArgument);
  const auto admission = allocator.try_admit(1, 64, {});
  EXPECT_THROW(allocator.grow(admission->slot, kHuge), InvalidArgument);
  allocator.release(admission->slot);
  EXPECT_THROW(allocator.release(admission->slot), InvalidArgument);
  EXPECT_EQ(allocator.pool().free_pages(), 4);
}

}  // namespace
}  // namespace pkv
