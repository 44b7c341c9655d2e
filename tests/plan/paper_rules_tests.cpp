// The paper's split rules, slot layout and launch counts, on cases worked out by hand.

#include "persistentkv/core/error.hpp"
#include "persistentkv/plan/planner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pkv {
namespace {

const AttentionShape kShape{32, 8, 128};

TEST(BucketSplits, FillTheGpuWithinBounds) {
  EXPECT_EQ(bucket_splits(8, 1, 2000, 2000), 32);  // 256 / 8 CTAs; 2000 / 96 = 21 asks for fewer
  EXPECT_EQ(bucket_splits(8, 1, 4096, 4096), 44);  // 43 splits of 96 tiles, in fours
  EXPECT_EQ(bucket_splits(8, 1, 9000, 9000), 48);  // capped
  EXPECT_EQ(bucket_splits(8, 8, 512, 2000), 24);   // 21 in fours
  EXPECT_EQ(bucket_splits(8, 64, 10, 10), 4);      // never below 4
  EXPECT_EQ(bucket_splits(8, 1, 9, 2000), 9);      // not more than the shortest row's tiles
  EXPECT_EQ(bucket_splits(8, 1, 2, 2), 4);
}

TEST(WorkqueueSplits, FillTheGpuWithinBounds) {
  EXPECT_EQ(workqueue_splits(8, 8, 256), 4);
  EXPECT_EQ(workqueue_splits(8, 8, 2048), 24);  // 32 of 64 tiles, capped at 24 from 8 rows up
  EXPECT_EQ(workqueue_splits(8, 4, 4096), 32);
  EXPECT_EQ(workqueue_splits(8, 3, 4096), 48);
  EXPECT_EQ(workqueue_splits(8, 2, 4096), 40);
  EXPECT_EQ(workqueue_splits(8, 1, 4096), 48);
  EXPECT_EQ(workqueue_splits(8, 1, 256), 32);
  EXPECT_EQ(workqueue_splits(8, 1, 7), 7);
  EXPECT_EQ(workqueue_splits(8, 1, 1), 4);
}

TEST(ExactBuckets, TwoLaunchesForEachDistinctLength) {
  const std::vector<std::int32_t> lengths{4096, 8192, 4096, 4096, 8192};
  const WorkPlan plan = make_plan(Schedule::kExactBuckets, {kShape, lengths, {}});
  EXPECT_EQ(plan.counters().groups, 2);
  EXPECT_EQ(plan.counters().launches, 4);
  EXPECT_EQ(plan.counters().merge_launches, 2);
  // The three rows of 4096: max(ceil(256 / 24), 128 / 96) = 11, so 12 splits; the two of 8192: 16.
  EXPECT_EQ(plan.counters().decode_ctas, 3 * 8 * 12 + 2 * 8 * 16);
  EXPECT_EQ(plan.counters().merge_bytes, (3 * 12 + 2 * 16) * 32 * 130 * 4);
}

TEST(ExactBuckets, OneLaunchWhereNothingIsSplit) {
  const std::vector<std::int32_t> lengths{4096, 8192};
  const WorkPlan plan = make_plan(Schedule::kExactBuckets, {kShape, lengths, {}}, {.splits = 1});
  EXPECT_EQ(plan.counters().launches, 2);
  EXPECT_EQ(plan.counters().partials, 0);
}

TEST(CoarseBuckets, RoundUpButNotPastTheRowsPages) {
  const std::vector<std::int32_t> lengths{4000, 4096, 4097, 5000};
  const PlanOptions options{.bucket_tokens = 4096};
  EXPECT_EQ(make_plan(Schedule::kCoarseBuckets, {kShape, lengths, {}}, options).counters().groups, 2);
  const std::vector<std::int32_t> capacity{4096, 4096, 4112, 8192};
  EXPECT_EQ(make_plan(Schedule::kCoarseBuckets, {kShape, lengths, capacity}, options).counters().groups, 3);
}

TEST(CoarseBuckets, ReservePagesUpToTheBucketOrWhatTheRowHas) {
  const std::vector<std::int32_t> lengths{4000, 4096, 4097, 5000, 0};
  const std::vector<std::int32_t> capacity{4096, 4112, 4112, 8192, 64};
  const PlanOptions options{.bucket_tokens = 4096};
  const WorkPlan unbounded = make_plan(Schedule::kCoarseBuckets, {kShape, lengths, {}}, options);
  EXPECT_EQ(unbounded.counters().reserved_tokens, 2 * 4096 + 2 * 8192);
  EXPECT_EQ(unbounded.reserved_pages(16), 2 * 256 + 2 * 512);
  const WorkPlan bounded = make_plan(Schedule::kCoarseBuckets, {kShape, lengths, capacity}, options);
  EXPECT_THAT(bounded.parts().reserved_tokens, ::testing::ElementsAre(4096, 4096, 4112, 8192, 0));
  EXPECT_EQ(bounded.reserved_pages(16), 256 + 256 + 257 + 512);
  EXPECT_EQ(bounded.reserved_pages(256), 16 + 16 + 17 + 32);  // a page that is begun counts
}

TEST(Reservations, AreTheLengthsWhereNothingIsRoundedUp) {
  const std::vector<std::int32_t> lengths{33, 0, 500};
  const std::vector<std::int32_t> capacity{64, 16, 512};
  for (const Schedule schedule : kAllSchedules) {
    const WorkPlan plan = make_plan(schedule, {kShape, lengths, capacity}, {.bucket_tokens = 1, .num_workers = 3});
    const bool padded = schedule == Schedule::kPaddedBucket;
    EXPECT_EQ(plan.counters().reserved_tokens, padded ? 64 + 500 : 533) << to_string(schedule);
    EXPECT_EQ(plan.reserved_pages(16), padded ? 4 + 32 : 3 + 32) << to_string(schedule);
  }
}

TEST(PaddedBucket, OneGridAsWideAsTheLongest) {
  const std::vector<std::int32_t> lengths{64, 65536};
  const WorkPlan plan = make_plan(Schedule::kPaddedBucket, {kShape, lengths, {}}, {.splits = 32});
  EXPECT_EQ(plan.counters().launches, 2);
  EXPECT_EQ(plan.counters().decode_ctas, 2 * 8 * 32);
  EXPECT_EQ(plan.counters().idle_ctas, 8 * 30);  // the short row has two tiles
  EXPECT_EQ(plan.counters().partials, (2 + 32) * 32);
}

TEST(SequenceSplit, CutsAsIfTheRowWereAlone) {
  const std::vector<std::int32_t> one{8192};
  const std::vector<std::int32_t> two{8192, 8192};
  EXPECT_EQ(make_plan(Schedule::kSequenceSplit, {kShape, one, {}}).counters().decode_ctas, 8 * 32);
  EXPECT_EQ(make_plan(Schedule::kSequenceSplit, {kShape, two, {}}).counters().decode_ctas, 2 * 8 * 32);
}

TEST(Workqueue, OneTaskForEachNonEmptyIntervalInThePapersOrder) {
  const std::vector<std::int32_t> lengths{96, 0, 33};
  const WorkPlan plan = make_plan(Schedule::kWorkqueue, {{4, 2, 64}, lengths, {}}, {.splits = 4});
  // Row 0 has three tiles and row 2 two: slot = (offset[row] + split) * Hkv + KV head, KV head innermost.
  EXPECT_THAT(plan.segments(),
              ::testing::ElementsAre(Segment{0, 0, 0, 1, 0}, Segment{0, 1, 0, 1, 1}, Segment{0, 0, 1, 2, 2},
                                     Segment{0, 1, 1, 2, 3}, Segment{0, 0, 2, 3, 4}, Segment{0, 1, 2, 3, 5},
                                     Segment{2, 0, 0, 1, 6}, Segment{2, 1, 0, 1, 7}, Segment{2, 0, 1, 2, 8},
                                     Segment{2, 1, 1, 2, 9}));
  EXPECT_EQ(plan.counters().launches, 2);
  EXPECT_EQ(plan.counters().idle_ctas, 0);
  EXPECT_EQ(plan.counters().partials, 5 * 4);
  EXPECT_THAT(plan.slots(plan.merges()[1]), ::testing::ElementsAre(1, 3, 5));
}

TEST(Workqueue, FusedIsTheSameTasksInOneLaunch) {
  const std::vector<std::int32_t> lengths{5000, 70, 1};
  PlanOptions options;
  options.splits = 20;
  const WorkPlan two = make_plan(Schedule::kWorkqueue, {kShape, lengths, {}}, options);
  const WorkPlan fused = make_plan(Schedule::kWorkqueueFused, {kShape, lengths, {}}, options);
  EXPECT_TRUE(std::equal(two.segments().begin(), two.segments().end(), fused.segments().begin()));
  EXPECT_EQ(fused.counters().launches, 1);
  EXPECT_EQ(fused.counters().merge_launches, 0);
  EXPECT_EQ(fused.counters().merge_bytes, two.counters().merge_bytes);
}

TEST(Planner, RefusesBadInput) {
  const std::vector<std::int32_t> ok{100, 200};
  const std::vector<std::int32_t> short_capacity{100, 199};
  const std::vector<std::int32_t> one_capacity{100};
  EXPECT_THROW((void)make_plan(Schedule::kWorkqueue, {{32, 5, 128}, ok, {}}), InvalidArgument);
  EXPECT_THROW((void)make_plan(Schedule::kWorkqueue, {kShape, ok, {}}, {.tile_tokens = 0}), InvalidArgument);
  EXPECT_THROW((void)make_plan(Schedule::kWorkqueue, {kShape, ok, {}}, {.splits = -1}), InvalidArgument);
  EXPECT_THROW((void)make_plan(Schedule::kCoarseBuckets, {kShape, ok, {}}, {.bucket_tokens = 0}), InvalidArgument);
  EXPECT_THROW((void)make_plan(Schedule::kCoarseBuckets, {kShape, ok, short_capacity}), InvalidArgument);
  EXPECT_THROW((void)make_plan(Schedule::kCoarseBuckets, {kShape, ok, one_capacity}), InvalidArgument);
  EXPECT_THROW((void)make_plan(Schedule::kStream, {kShape, ok, {}}), InvalidArgument);  // no worker
  const std::vector<std::int32_t> many(1 << 20, 1);
  EXPECT_THROW((void)make_plan(Schedule::kWorkqueue, {{4096, 4096, 16}, many, {}}), InvalidArgument);
  try {
    (void)make_plan(Schedule::kStream, {kShape, ok, {}}, {.num_workers = -7});
    FAIL();
  } catch (const InvalidArgument& error) {
    EXPECT_STREQ(error.what(), "num_workers is -7, must be in [1, 1048576]");
  }
}

TEST(Schedules, NamesRoundTrip) {
  for (const Schedule schedule : kAllSchedules) EXPECT_EQ(parse_schedule(to_string(schedule)), schedule);
  EXPECT_THROW((void)parse_schedule("streams"), InvalidArgument);
}

}  // namespace
}  // namespace pkv
