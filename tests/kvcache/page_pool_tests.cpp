#include "persistentkv/kvcache/page_pool.hpp"

#include "persistentkv/core/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

namespace pkv {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

std::vector<PageId> take_all(PagePool& pool) {
  std::vector<PageId> pages;
  while (const auto page = pool.allocate()) pages.push_back(*page);
  return pages;
}

TEST(PagePool, HandsOutInOrderThenTheLastReleasedFirst) {
  PagePool pool(4);
  EXPECT_THAT(take_all(pool), ElementsAre(0, 1, 2, 3));
  for (const PageId page : {1, 3, 0}) pool.release(page);
  EXPECT_THAT(take_all(pool), ElementsAre(0, 3, 1));
}

TEST(PagePool, ASeedFixesAPermutation) {
  PagePool pool(1000, 7);
  PagePool same(1000, 7);
  PagePool other(1000, 8);
  std::vector<PageId> pages = take_all(pool);
  EXPECT_EQ(pages, take_all(same));
  EXPECT_NE(pages, take_all(other));
  int neighbours = 0;
  for (std::size_t i = 1; i < pages.size(); ++i) neighbours += pages[i] == pages[i - 1] + 1 ? 1 : 0;
  EXPECT_LT(neighbours, 20) << "1 is expected of a random permutation";
  std::sort(pages.begin(), pages.end());
  for (std::size_t i = 0; i < pages.size(); ++i) ASSERT_EQ(pages[i], static_cast<PageId>(i));
}

TEST(PagePool, AReservedPageIsNobodyElses) {
  PagePool pool(10);
  EXPECT_TRUE(pool.try_reserve(7));
  EXPECT_FALSE(pool.try_reserve(4));
  EXPECT_FALSE(pool.try_reserve(std::numeric_limits<std::int64_t>::max()));
  EXPECT_EQ(take_all(pool).size(), 3u);
  for (int i = 0; i < 7; ++i) EXPECT_NO_THROW((void)pool.take_reserved());
  EXPECT_EQ(pool.free_pages(), 0);
}

TEST(PagePool, RandomOperationsMatchANaiveModel) {
  const std::uint32_t seed = std::random_device{}();
  SCOPED_TRACE(::testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  constexpr std::int64_t kPages = 50;
  PagePool pool(kPages, seed);
  std::vector<std::int32_t> owners(kPages);
  std::int64_t reserved = 0;
  std::int64_t peak = 0;
  const auto used = [&] {
    return static_cast<std::int64_t>(std::count_if(owners.begin(), owners.end(), [](int n) { return n > 0; }));
  };
  const auto taken = [&](PageId page) {
    ASSERT_EQ(owners.at(static_cast<std::size_t>(page)), 0) << "page " << page << " was handed out twice";
    owners[static_cast<std::size_t>(page)] = 1;
  };
  for (int i = 0; i < 20000; ++i) {
    const auto page = static_cast<PageId>(random() % kPages);
    std::int32_t& count = owners[static_cast<std::size_t>(page)];
    const std::int64_t pages = random() % 6;
    const std::int64_t available = kPages - used() - reserved;
    switch (random() % 6) {
      case 0: {
        const auto got = pool.allocate();
        ASSERT_EQ(got.has_value(), available > 0);
        if (got) taken(*got);
        break;
      }
      case 1:
        ASSERT_EQ(pool.try_reserve(pages), pages <= available);
        if (pages <= available) reserved += pages;
        break;
      case 2:
        if (reserved == 0) {
          ASSERT_THROW((void)pool.take_reserved(), InvalidArgument);
        } else {
          --reserved;
          taken(pool.take_reserved());
        }
        break;
      case 3:
        if (pages > reserved) {
          ASSERT_THROW(pool.cancel_reservation(pages), InvalidArgument);
        } else {
          pool.cancel_reservation(pages);
          reserved -= pages;
        }
        break;
      case 4:
        if (count == 0) {
          ASSERT_THROW(pool.retain(page), InvalidArgument);
        } else {
          pool.retain(page);
          ++count;
        }
        break;
      default:
        if (count == 0) {
          ASSERT_THROW(pool.release(page), InvalidArgument);
        } else {
          pool.release(page);
          --count;
        }
    }
    peak = std::max(peak, used());
    ASSERT_EQ(pool.references(page), owners[static_cast<std::size_t>(page)]);
    ASSERT_EQ(pool.used_pages(), used());
    ASSERT_EQ(pool.free_pages(), kPages - used());
    ASSERT_EQ(pool.reserved_pages(), reserved);
    ASSERT_EQ(pool.available_pages(), kPages - used() - reserved);
    ASSERT_EQ(pool.peak_used_pages(), peak);
  }
}

TEST(PagePool, MisuseIsNamed) {
  const auto made = [](std::int64_t pages) { return [pages] { PagePool pool(pages); }; };
  EXPECT_THAT(made(0), ThrowsMessage<InvalidArgument>(HasSubstr("num_pages is 0, must be in [1, 268435456]")));
  EXPECT_THAT(made(-5), ThrowsMessage<InvalidArgument>(HasSubstr("num_pages is -5")));
  EXPECT_THAT(made(std::numeric_limits<std::int64_t>::max()), ThrowsMessage<InvalidArgument>(HasSubstr("num_pages")));

  PagePool pool(3);
  const PageId page = pool.allocate().value();
  pool.release(page);
  EXPECT_THAT([&] { pool.release(page); }, ThrowsMessage<InvalidArgument>(HasSubstr("page 0 has 0 references")));
  EXPECT_THAT([&] { pool.retain(page); }, ThrowsMessage<InvalidArgument>(HasSubstr("page 0 has 0 references")));
  for (const PageId foreign : {-1, 3, std::numeric_limits<PageId>::max()})
    EXPECT_THAT([&] { pool.release(foreign); }, ThrowsMessage<InvalidArgument>(HasSubstr("must be in [0, 3)")));
  EXPECT_THAT([&] { (void)pool.try_reserve(-1); }, ThrowsMessage<InvalidArgument>(HasSubstr("is -1, must be >= 0")));
  EXPECT_THAT([&] { pool.cancel_reservation(1); }, ThrowsMessage<InvalidArgument>(HasSubstr("must be in [0, 0]")));
  EXPECT_EQ(pool.free_pages(), 3);
}

}  // namespace
}  // namespace pkv
