#include "persistentkv/kvcache/prefix_cache.hpp"

#include "persistentkv/core/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <vector>

namespace pkv {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

using Ids = std::vector<std::int64_t>;

TEST(PrefixCache, OnlyFullBlocksAreShared) {
  PagePool pool(100);
  ASSERT_TRUE(pool.try_reserve(100));
  PrefixCache cache(pool, 16, 64);
  std::vector<PageId> pages;
  const PrefixHandle first = cache.acquire(Ids{5, 6, 7}, 64 * 3 - 1, pages);
  EXPECT_EQ(pages.size(), 8u);
  EXPECT_EQ(cache.live_blocks(), 2);
  EXPECT_EQ(cache.resident_blocks(Ids{5, 6, 7}, 64 * 3), 2) << "the partial third block is not there";
  EXPECT_EQ(cache.resident_blocks(Ids{5, 6, 7}, 64 * 2 - 1), 1) << "the asker's own second block is partial";
  EXPECT_EQ(cache.acquire(Ids{5}, 63, pages), kNoPrefix);
  EXPECT_EQ(cache.acquire(Ids{}, 640, pages), kNoPrefix);
  EXPECT_EQ(pages.size(), 8u);
  cache.release(first);
  EXPECT_EQ(pool.used_pages(), 0);
}

TEST(PrefixCache, AMissEndsTheSharedPrefix) {
  PagePool pool(100);
  ASSERT_TRUE(pool.try_reserve(100));
  PrefixCache cache(pool, 8, 8);
  std::vector<PageId> first;
  std::vector<PageId> second;
  (void)cache.acquire(Ids{1, 2, 3}, 24, first);
  EXPECT_EQ(cache.resident_blocks(Ids{1, 9, 3}, 24), 1);
  EXPECT_EQ(cache.resident_blocks(Ids{2, 3}, 16), 0) << "block 2 is known after block 1 only";
  (void)cache.acquire(Ids{1, 9, 3}, 24, second);
  EXPECT_EQ(first[0], second[0]);
  EXPECT_NE(first[1], second[1]);
  EXPECT_NE(first[2], second[2]) << "block 3 after 9 is not block 3 after 2";
}

/// Chains, owners and pages, found by comparing whole prefixes.
class NaiveCache {
 public:
  struct Block {
    int owners = 0;
    std::vector<PageId> pages;
  };
  std::map<Ids, Block> blocks;

  std::int64_t resident(const Ids& chain) const {
    for (std::size_t n = 1; n <= chain.size(); ++n)
      if (!blocks.contains(Ids(chain.begin(), chain.begin() + static_cast<std::ptrdiff_t>(n))))
        return static_cast<std::int64_t>(n) - 1;
    return static_cast<std::int64_t>(chain.size());
  }
};

TEST(PrefixCache, RandomSharersMatchANaiveModel) {
  const std::uint32_t seed = std::random_device{}();
  SCOPED_TRACE(::testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  constexpr int kPageSize = 4;
  constexpr std::int64_t kBlockTokens = 12;
  constexpr std::size_t kBlockPages = 3;
  PagePool pool(300, seed);
  PrefixCache cache(pool, kPageSize, kBlockTokens);
  NaiveCache naive;
  struct Owner {
    Ids chain;
    PrefixHandle handle;
  };
  std::vector<Owner> owners;

  for (int i = 0; i < 4000; ++i) {
    if (owners.size() < 10 && random() % 2 == 0) {
      Ids ids(random() % 6);
      for (auto& id : ids) id = static_cast<std::int64_t>(random() % 2);  // ids that repeat, and under many prefixes
      const auto prompt = static_cast<std::int64_t>(random() % 70);
      Ids chain = ids;
      chain.resize(std::min(ids.size(), static_cast<std::size_t>(prompt / kBlockTokens)));
      const std::int64_t resident = cache.resident_blocks(ids, prompt);
      ASSERT_EQ(resident, naive.resident(chain));
      const std::int64_t missing = (static_cast<std::int64_t>(chain.size()) - resident) * std::int64_t{kBlockPages};
      std::vector<PageId> pages;
      if (missing > 0) {
        const std::int64_t used = pool.used_pages();
        ASSERT_TRUE(pool.try_reserve(missing - 1));
        ASSERT_THROW((void)cache.acquire(ids, prompt, pages), InvalidArgument) << "one page short";
        ASSERT_EQ(pool.used_pages(), used);
        ASSERT_TRUE(pages.empty());
        ASSERT_TRUE(pool.try_reserve(1));
      }
      const PrefixHandle handle = cache.acquire(ids, prompt, pages);
      ASSERT_EQ(pages.size(), chain.size() * kBlockPages);
      for (std::size_t n = 0; n < chain.size(); ++n) {
        auto& block = naive.blocks[Ids(chain.begin(), chain.begin() + static_cast<std::ptrdiff_t>(n) + 1)];
        const auto begin = pages.begin() + static_cast<std::ptrdiff_t>(n * kBlockPages);
        const std::vector<PageId> own(begin, begin + kBlockPages);
        if (block.owners++ == 0) block.pages = own;
        ASSERT_EQ(block.pages, own);
      }
      owners.push_back({chain, handle});
    } else if (!owners.empty()) {
      std::swap(owners[random() % owners.size()], owners.back());
      const Owner leaving = owners.back();
      owners.pop_back();
      cache.release(leaving.handle);
      for (Ids chain = leaving.chain; !chain.empty(); chain.pop_back())
        if (--naive.blocks[chain].owners == 0) naive.blocks.erase(chain);
    }
    ASSERT_EQ(pool.reserved_pages(), 0);
    ASSERT_EQ(cache.live_blocks(), static_cast<std::int64_t>(naive.blocks.size()));
    ASSERT_EQ(pool.used_pages(), static_cast<std::int64_t>(naive.blocks.size() * kBlockPages));
    std::set<PageId> distinct;
    for (const auto& [chain, block] : naive.blocks) {
      for (const PageId page : block.pages) {
        ASSERT_TRUE(distinct.insert(page).second) << "page " << page << " is in two blocks";
        ASSERT_EQ(pool.references(page), block.owners);
      }
    }
  }
}

TEST(PrefixCache, MisuseIsNamed) {
  PagePool pool(10);
  const auto made = [&](int page_size, std::int64_t block) {
    return [&pool, page_size, block] { PrefixCache cache(pool, page_size, block); };
  };
  for (const int page_size : {0, -16, 48, 1024})
    EXPECT_THAT(made(page_size, 512), ThrowsMessage<InvalidArgument>(HasSubstr("must divide the 512 tokens")));
  EXPECT_THAT(made(16, 0), ThrowsMessage<InvalidArgument>(HasSubstr("block_tokens is 0")));

  PrefixCache cache(pool, 8, 8);
  std::vector<PageId> pages;
  ASSERT_TRUE(pool.try_reserve(1));
  const PrefixHandle handle = cache.acquire(Ids{1}, 8, pages);
  cache.release(handle);
  EXPECT_THAT([&] { cache.release(handle); }, ThrowsMessage<InvalidArgument>(HasSubstr("0 owners")));
  EXPECT_THAT([&] { cache.release(99); }, ThrowsMessage<InvalidArgument>(HasSubstr("prefix handle is 99")));
  EXPECT_THAT([&] { cache.release(-7); }, ThrowsMessage<InvalidArgument>(HasSubstr("prefix handle is -7")));
  EXPECT_NO_THROW(cache.release(kNoPrefix));
}

}  // namespace
}  // namespace pkv
