// Whatever the batch and the schedule, every token of every row and KV head is read exactly once, and every partial is
// merged exactly once. Checked token by token, without the validator's help.

#include "persistentkv/plan/planner.hpp"
#include "random_batch.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

namespace pkv {
namespace {

using testing::fresh_seed;
using testing::random_lengths;

void expect_every_token_once(const WorkPlan& plan, const std::vector<std::int32_t>& lengths) {
  std::map<std::pair<int, int>, std::vector<int>> reads;  // (row, KV head) -> times each token is read
  std::map<int, std::pair<int, int>> slot_unit;
  int executed = 0;
  for (int w = 0; w < plan.num_workers(); ++w) {
    for (const Segment& s : plan.worker(w)) {
      ++executed;
      auto& row = reads[{s.row, s.kv_head}];
      row.resize(static_cast<std::size_t>(lengths[static_cast<std::size_t>(s.row)]));
      ASSERT_LT(plan.token_begin(s), plan.token_end(s));
      ASSERT_LE(plan.token_end(s), static_cast<std::int64_t>(row.size()));
      for (auto t = plan.token_begin(s); t < plan.token_end(s); ++t) ++row[static_cast<std::size_t>(t)];
      if (s.slot == Segment::kNoSlot) continue;
      ASSERT_TRUE(slot_unit.emplace(s.slot, std::pair(s.row, s.kv_head)).second) << "slot written twice";
    }
  }
  ASSERT_EQ(executed, static_cast<int>(plan.segments().size()));

  std::size_t units = 0;
  for (const std::int32_t length : lengths)
    if (length > 0) units += static_cast<std::size_t>(plan.num_kv_heads());
  ASSERT_EQ(reads.size(), units);
  for (const auto& [unit, times] : reads)
    ASSERT_TRUE(std::all_of(times.begin(), times.end(), [](int n) { return n == 1; })) << "row " << unit.first;

  for (const Merge& merge : plan.merges()) {
    for (const std::int32_t slot : plan.slots(merge)) {
      ASSERT_EQ(slot_unit.at(slot), std::pair(merge.row, merge.kv_head));
      slot_unit.erase(slot);
    }
  }
  ASSERT_TRUE(slot_unit.empty()) << "a partial that nobody merges";
}

TEST(Coverage, RandomBatchesUnderEverySchedule) {
  const std::uint32_t seed = fresh_seed();
  SCOPED_TRACE(::testing::Message() << "seed " << seed);
  std::mt19937 rng(seed);
  const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(rng); };
  for (int round = 0; round < 150; ++round) {
    const std::vector<std::int32_t> lengths = random_lengths(rng, 20, 3000);
    const int heads = pick(1, 9);
    const int group = pick(1, 5);
    PlanOptions options;
    options.tile_tokens = pick(0, 1) == 0 ? 32 : pick(1, 200);
    options.splits = pick(0, 2) == 0 ? pick(1, 60) : 0;
    options.bucket_tokens = pick(1, 2000);
    options.num_workers = pick(1, 300);
    options.segment_cost_tokens = pick(0, 2) == 0 ? 0 : pick(0, 300);
    options.uncut_tokens = pick(0, 2) == 0 ? 64 : pick(0, 2000);
    options.ahead_tokens = pick(0, 1) == 0 ? 0 : pick(0, 1000);
    options.whole_unit_tokens = pick(0, 1) == 0 ? 160 : pick(0, 65535);
    for (const Schedule schedule : kAllSchedules) {
      SCOPED_TRACE(::testing::Message() << "round " << round << ", " << to_string(schedule));
      const WorkPlan plan = make_plan(
          schedule, {.shape = {heads * group, heads, 64}, .lengths = lengths, .capacity_tokens = {}}, options);
      expect_every_token_once(plan, lengths);
      EXPECT_GE(plan.counters().launches, 1);
      EXPECT_FALSE(describe(plan).empty());
    }
  }
}

TEST(Coverage, EmptyRowsLeadNowhereButAreLaunched) {
  for (const std::vector<std::int32_t>& lengths :
       {std::vector<std::int32_t>{}, std::vector<std::int32_t>{0, 0, -3}, std::vector<std::int32_t>{0, 5, 0}}) {
    for (const Schedule schedule : kAllSchedules) {
      const WorkPlan plan = make_plan(schedule, {{8, 2, 64}, lengths, {}}, {.num_workers = 7});
      expect_every_token_once(plan, lengths);
      EXPECT_EQ(plan.counters().kv_tokens, lengths.size() == 3 && lengths[1] == 5 ? 5 : 0);
      EXPECT_GE(plan.launches().size(), 1U);
    }
  }
}

TEST(Coverage, HugeRowsAndBatches) {
  const std::vector<std::int32_t> million(3, 1 << 20);
  const std::vector<std::int32_t> longest{1 << 30};
  const std::vector<std::int32_t> many(4096, 17);
  for (const Schedule schedule : kAllSchedules) {
    for (const auto* lengths : {&million, &longest, &many}) {
      const WorkPlan plan = make_plan(schedule, {{32, 8, 128}, *lengths, {}}, {.num_workers = 132});
      std::int64_t tokens = 0;
      for (const Segment& s : plan.segments()) tokens += plan.token_end(s) - plan.token_begin(s);
      EXPECT_EQ(tokens, 8 * plan.counters().kv_tokens) << to_string(schedule);
    }
  }
}

}  // namespace
}  // namespace pkv
