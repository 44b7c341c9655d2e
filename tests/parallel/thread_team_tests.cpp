#include "persistentkv/parallel/thread_team.hpp"

#include "persistentkv/core/error.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace pkv {
namespace {

using Items = ThreadTeam::Items;

TEST(ThreadTeam, HasAtLeastOneThreadAndNoMoreThanAsked) {
  EXPECT_GE(ThreadTeam().num_threads(), 1);
  EXPECT_EQ(ThreadTeam(1).num_threads(), 1);
  EXPECT_EQ(ThreadTeam(4096).num_threads(), ThreadTeam().num_threads());
  EXPECT_THROW(ThreadTeam(-1), InvalidArgument);
}

TEST(ThreadTeam, EachItemOnceAndWhatItWroteIsSeen) {
  for (const int num_threads : {1, 0}) {
    ThreadTeam team(num_threads);
    for (const Items items : {Items::kLong, Items::kShort}) {
      for (const int count : {0, 1, 2, 1000}) {
        std::vector<int> calls(static_cast<std::size_t>(count));
        // Counted without a lock: this is a race unless no two calls have the same thread at the same time.
        std::vector<int> calls_of(static_cast<std::size_t>(team.num_threads()) * 64);
        team.for_each(count, items, [&](std::int64_t i, int thread) {
          ++calls[static_cast<std::size_t>(i)];
          ++calls_of.at(static_cast<std::size_t>(thread) * 64);
        });
        EXPECT_EQ(calls, std::vector<int>(static_cast<std::size_t>(count), 1));
        int sum = 0;
        for (const int n : calls_of) sum += n;
        EXPECT_EQ(sum, count);
      }
    }
  }
}

TEST(ThreadTeam, ThrowsWhatAnItemThrew) {
  ThreadTeam team;
  const auto run = [&] {
    team.for_each(100, Items::kLong, [](std::int64_t i, int) {
      if (i == 50) throw std::out_of_range("item 50");
    });
  };
  EXPECT_THROW(run(), std::out_of_range);
  std::atomic<int> calls{0};
  team.for_each(10, Items::kLong, [&](std::int64_t, int) { ++calls; });
  EXPECT_EQ(calls, 10);
}

}  // namespace
}  // namespace pkv
