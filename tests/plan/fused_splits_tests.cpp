// The fused workqueue's own rule: what it promises of every step, and cases worked out by hand.

#include "persistentkv/plan/planner.hpp"
#include "random_batch.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <vector>

namespace pkv {
namespace {

WorkPlan fused(int num_kv_heads, const std::vector<std::int32_t>& lengths, int tile_tokens = 32) {
  return make_plan(Schedule::kWorkqueueFused, {{4 * num_kv_heads, num_kv_heads, 128}, lengths, {}},
                   {.tile_tokens = tile_tokens});
}

std::int64_t longest_task(const WorkPlan& plan) {
  std::int64_t longest = 0;
  for (const Segment& s : plan.segments()) longest = std::max(longest, plan.token_end(s) - plan.token_begin(s));
  return longest;
}

TEST(FusedSplits, OfALoneRow) {
  EXPECT_EQ(workqueue_fused_splits({8, 1, 1024, 32}, 32), 4);      // 256 tokens each
  EXPECT_EQ(workqueue_fused_splits({8, 1, 8192, 32}, 256), 14);    // 112 tasks: 586 tokens, 19 tiles
  EXPECT_EQ(workqueue_fused_splits({2, 1, 65536, 32}, 2048), 56);  // 1171 tokens, 37 tiles
  EXPECT_EQ(workqueue_fused_splits({8, 1, 57344, 32}, 1792), 14);  // 4096 tokens, as many as may be
  EXPECT_EQ(workqueue_fused_splits({8, 1, 57345, 32}, 1793), 32);  // the paper's
  EXPECT_EQ(workqueue_fused_splits({8, 1, 1, 32}, 1), 1);
  EXPECT_EQ(workqueue_fused_splits({8, 0, 0, 32}, 0), 1);
}

TEST(FusedSplits, OfManyUnitsAreThePapersLongestTasks) {
  EXPECT_EQ(workqueue_fused_splits({8, 64, 64 * 16384, 32}, 512), 8);  // 512 units
  EXPECT_EQ(workqueue_fused_splits({8, 63, 63 * 16384, 32}, 512), 8);  // 504: the paper's 8, too
  EXPECT_EQ(workqueue_fused_splits({8, 64, 64 * 16384, 32}, 1), 1);
  EXPECT_EQ(workqueue_fused_splits({8, 63, 63 * 16384, 32}, 1), 4);
}

TEST(FusedSplits, OfAFewLongRowsFillATurn) {
  EXPECT_EQ(workqueue_fused_splits({8, 8, 8 * 16384, 32}, 512), 6);     // 352 tasks: 2979 tokens, 94 tiles
  EXPECT_EQ(workqueue_fused_splits({8, 8, 8 * 16384, 32}, 1024), 11);   // of a row that is longer
  EXPECT_EQ(workqueue_fused_splits({4, 2, 2 * 131072, 32}, 4096), 48);  // 94 would be a turn
  EXPECT_EQ(workqueue_fused_splits({8, 9, 9 * 16384, 32}, 512), 8);     // nine rows: the paper's
  EXPECT_EQ(workqueue_fused_splits({47, 8, 8 * 16384, 32}, 512), 1);    // 376 units: 31,457 tokens
  EXPECT_EQ(workqueue_fused_splits({48, 8, 8 * 16384, 32}, 512), 8);    // 384: the paper's
}

/// Tasks of a short step are no longer than they need be, and no more than 112 and one for each unit.
TEST(FusedSplits, OfShortStepsAreEven) {
  const std::uint32_t seed = testing::fresh_seed();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  for (int i = 0; i < 300; ++i) {
    const int heads = 1 << below(6), tile = std::array{16, 32, 48, 1}[static_cast<std::size_t>(below(4))];
    const std::vector<std::int32_t> lengths = testing::random_lengths(random, 40, 1 << below(16));
    std::int64_t tokens = 0, units = 0;
    for (const std::int32_t length : lengths) {
      tokens += std::max(length, 0);
      units += length > 0 ? heads : 0;
    }
    const std::int64_t even = (tokens * heads + 111) / 112;
    if (tokens == 0 || even > 4096) continue;
    const WorkPlan plan = fused(heads, lengths, tile);
    const std::int64_t task = (std::max<std::int64_t>(even, 256) + tile - 1) / tile * tile;
    EXPECT_LE(longest_task(plan), task) << i;
    EXPECT_LE(plan.counters().decode_ctas, 112 + units) << i;
  }
}

}  // namespace
}  // namespace pkv
