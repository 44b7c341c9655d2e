#include "persistentkv/plan/stream_cut.hpp"

#include "persistentkv/core/error.hpp"
#include "persistentkv/plan/planner.hpp"
#include "random_batch.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace pkv {
namespace {

struct RunCost {
  std::int64_t tokens = 0;
  std::int64_t segments = 0;
  int partials = 0;
};

RunCost cost_of(const WorkPlan& plan, int worker) {
  RunCost cost;
  for (const Segment& s : plan.worker(worker)) {
    cost.tokens += plan.token_end(s) - plan.token_begin(s);
    ++cost.segments;
    cost.partials += s.slot == Segment::kNoSlot ? 0 : 1;
  }
  return cost;
}

/// Whether all rows that are not empty have as many tokens.
bool alike(const std::vector<std::int32_t>& lengths) {
  std::int32_t tokens = 0;
  for (const std::int32_t length : lengths) {
    if (length > 0 && tokens > 0 && length != tokens) return false;
    tokens = std::max(tokens, length);
  }
  return true;
}

TEST(StreamCut, RunsCostTheSameAndHaveTwoPartialsAtMost) {
  const std::uint32_t seed = testing::fresh_seed();
  SCOPED_TRACE(::testing::Message() << "seed " << seed);
  std::mt19937 rng(seed);
  const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(rng); };
  for (int round = 0; round < 300; ++round) {
    const std::vector<std::int32_t> lengths = testing::random_lengths(rng, 40, 5000);
    if (alike(lengths)) continue;  // cut at whole units, see below
    const int heads = pick(1, 8);
    const PlanOptions options{.tile_tokens = pick(1, 64),
                              .num_workers = pick(1, 200),
                              .segment_cost_tokens = pick(0, 100),
                              .uncut_tokens = pick(0, 1) == 0 ? 0 : pick(0, 200)};
    StreamCut cut;
    cut.assign(heads, lengths, options);
    const WorkPlan plan = cut.materialize(heads, 64);
    ASSERT_EQ(plan.num_workers(), options.num_workers);
    // No run is shorter than a tile, so that the last workers may have nothing.
    const double share =
        std::max<double>(static_cast<double>(cut.total_cost()) / options.num_workers, options.tile_tokens);
    // Each end moves to the nearest tile, out of half a segment's constant, or to the nearer end of a unit that is not
    // cut; a run that continues a unit begins a segment that the closed form did not count, or has a constant five
    // times as great where many share the unit.
    const bool many_share =
        *std::max_element(lengths.begin(), lengths.end()) >= 15 * (share - options.segment_cost_tokens);
    const int constant = (many_share ? 5 : 1) * options.segment_cost_tokens;
    const double slack = std::max(options.tile_tokens, options.uncut_tokens + constant) + constant + 1.0;
    for (int w = 0; w < options.num_workers; ++w) {
      const RunCost cost = cost_of(plan, w);
      EXPECT_LE(cost.partials, 2);
      const auto total = static_cast<double>(cost.tokens + cost.segments * options.segment_cost_tokens);
      EXPECT_NEAR(total, share, slack) << "round " << round << ", worker " << w;
    }
  }
}

/// Of a row of `tokens` and 15 short ones, over 4 KV heads: how much more a worker with a part of one unit of the long
/// row reads, at most, than one with parts of two.
std::int64_t lead_of_two_ends(std::int32_t tokens, int workers) {
  std::vector<std::int32_t> lengths(16, 64);
  lengths[5] = tokens;
  const WorkPlan plan = make_plan(Schedule::kStream, {{32, 4, 128}, lengths, {}}, {.num_workers = workers});
  std::int64_t most[2] = {0, 0};
  for (int w = 0; w < workers; ++w) {
    const RunCost cost = cost_of(plan, w);
    if (cost.partials == cost.segments && cost.partials > 0)
      most[cost.partials - 1] = std::max(most[cost.partials - 1], cost.tokens);
  }
  return most[0] - most[1];
}

TEST(StreamCut, WhoHasTheEndsOfTwoUnitsThatManyShareHasLess) {
  EXPECT_GE(lead_of_two_ends(16384, 132), 5 * 32 - 32);  // 30 share a unit; a tile more or less
  EXPECT_LE(lead_of_two_ends(16384, 48), 32 + 32);       // 11 do
}

TEST(StreamCut, RunsFollowOneAnother) {
  const std::vector<std::int32_t> lengths{0, 100, 0, 0, 7, 4096, 0};
  StreamCut cut;
  cut.assign(3, lengths, {.num_workers = 50});
  EXPECT_EQ(cut.begin(0), (StreamCut::Position{1, 0, 0}));
  EXPECT_EQ(cut.begin(50), (StreamCut::Position{7, 0, 0}));
  for (int w = 0; w < 50; ++w) {
    const auto a = cut.begin(w);
    const auto b = cut.begin(w + 1);
    EXPECT_LE(std::tie(a.row, a.kv_head, a.tile), std::tie(b.row, b.kv_head, b.tile));
  }
}

TEST(StreamCut, AWorkerForEachUnitNeedsNoMerge) {
  const std::vector<std::int32_t> lengths(4, 1024);
  const WorkPlan plan = make_plan(Schedule::kStream, {{32, 8, 128}, lengths, {}}, {.num_workers = 32});
  EXPECT_EQ(plan.counters().partials, 0);
  EXPECT_EQ(plan.counters().launches, 1);
  EXPECT_EQ(plan.counters().merge_launches, 0);
}

TEST(StreamCut, RowsThatAreAlikeGetWholeWorkers) {
  // 3 * 8 units, 133 workers: 5 a unit would leave more than a sixteenth idle; 2 * 8 units get 8 each.
  for (const auto& [rows, whole] : {std::pair{3, false}, std::pair{2, true}}) {
    std::vector<std::int32_t> lengths(static_cast<std::size_t>(rows), 5000);
    lengths.push_back(0);
    const WorkPlan plan = make_plan(Schedule::kStream, {{32, 8, 128}, lengths, {}}, {.num_workers = 133});
    int two_units = 0;
    for (int w = 0; w < plan.num_workers(); ++w) two_units += plan.worker(w).size() > 1 ? 1 : 0;
    EXPECT_EQ(two_units == 0, whole) << rows << " rows";
  }
}

TEST(StreamCut, WorkersGetWholeRowsThatAreAlike) {
  const std::vector<std::int32_t> lengths(64, 1000);  // 512 units
  const PlanInput input{{32, 8, 128}, lengths, {}};
  EXPECT_EQ(make_plan(Schedule::kStream, input, {.num_workers = 131}).counters().partials, 0);  // 128 of them, 4 each
  EXPECT_GT(make_plan(Schedule::kStream, input, {.num_workers = 150}).counters().partials, 0);  // 128 would be too few
}

// With whole units 4 of 132 workers are idle. They could relieve each of the others, of a sixteenth of a unit, of its
// 33rd part; of 4 units, likewise, which counts half.
TEST(StreamCut, UnitsAreWholeWhileIdleWorkersWouldRelieveTheOthersOfLittle) {
  const auto cuts_units = [](std::size_t rows, std::int32_t tokens, int worth) {
    const std::vector<std::int32_t> lengths(rows, tokens);
    const PlanOptions options{.tile_tokens = 16, .num_workers = 132, .whole_unit_tokens = worth};
    const WorkPlan plan = make_plan(Schedule::kStream, {{32, 8, 128}, lengths, {}}, options);
    int two_units = 0;
    for (int w = 0; w < plan.num_workers(); ++w) two_units += plan.worker(w).size() > 1 ? 1 : 0;
    return rows == 1 ? two_units > 0 : plan.counters().partials > 0;
  };
  // One row: 16 workers a unit, each of a sixteenth.
  EXPECT_FALSE(cuts_units(1, 16 * 33 * 100, 100));
  EXPECT_TRUE(cuts_units(1, 16 * 33 * 100 + 1, 100));
  EXPECT_FALSE(cuts_units(1, 1 << 20, PlanOptions::kMaxWholeUnitTokens));
  EXPECT_TRUE(cuts_units(1, 1 << 20, 0));
  // 64 rows: 4 units a worker.
  EXPECT_FALSE(cuts_units(64, 2 * 33 * 100 / 4, 100));
  EXPECT_TRUE(cuts_units(64, 2 * 33 * 100 / 4 + 1, 100));
}

// Merging 33 parts takes as long as merging 64.
TEST(StreamCut, UnitsAreSharedByWholeTurnsOfTheirMerge) {
  const std::vector<std::int32_t> lengths{100000};
  const auto parts_of_a_unit = [&](int kv_heads, int workers) {
    const PlanOptions options{.num_workers = workers, .whole_unit_tokens = PlanOptions::kMaxWholeUnitTokens};
    const WorkPlan plan = make_plan(Schedule::kStream, {{32, kv_heads, 128}, lengths, {}}, options);
    return plan.merges().front().slots_end - plan.merges().front().slots_begin;
  };
  EXPECT_EQ(parts_of_a_unit(8, 132), 16);
  EXPECT_EQ(parts_of_a_unit(4, 132), 32);  // not 33
  EXPECT_EQ(parts_of_a_unit(2, 132), 64);  // not 66
  EXPECT_EQ(parts_of_a_unit(1, 40), 40);   // 32 would leave a fifth of the workers idle
}

TEST(StreamCut, RowsThatAreAlikeGetWholeWorkersOfTheLeastRunToo) {
  const std::vector<std::int32_t> lengths{1050, 1050};
  const PlanOptions options{.tile_tokens = 16, .num_workers = 132, .min_run_tokens = 128};
  const WorkPlan plan = make_plan(Schedule::kStream, {{32, 4, 128}, lengths, {}}, options);
  int busy = 0;
  for (int w = 0; w < plan.num_workers(); ++w) {
    EXPECT_LE(plan.worker(w).size(), 1u);  // nobody has parts of two units
    if (plan.worker(w).empty()) continue;
    ++busy;
    EXPECT_GE(cost_of(plan, w).tokens, 112);
  }
  EXPECT_EQ(busy, 8 * 8);  // 1050 / 128 a unit
}

// Runs of 128 from units of 100 and their constants would leave 4 tokens of the last one to a worker of their own.
TEST(StreamCut, UnitsBelowTheLeastRunThatAreAlikeHaveAWorkerEach) {
  for (const int tokens : {1, 17, 64, 65, 100, 127, 128, 200}) {
    const std::vector<std::int32_t> lengths{tokens, tokens};
    const PlanOptions options{.tile_tokens = 16, .num_workers = 132, .min_run_tokens = 128};
    const WorkPlan plan = make_plan(Schedule::kStream, {{32, 4, 128}, lengths, {}}, options);
    EXPECT_EQ(plan.counters().partials, 0) << tokens;
    int busy = 0;
    for (int w = 0; w < plan.num_workers(); ++w) busy += plan.worker(w).empty() ? 0 : 1;
    EXPECT_EQ(busy, 8) << tokens;
  }
}

TEST(StreamCut, ShortUnitsAreNotCut) {
  std::vector<std::int32_t> lengths(15, 64);
  lengths.insert(lengths.begin() + 5, 16384);
  for (const int uncut : {64, 63}) {
    const PlanOptions options{.tile_tokens = 16, .num_workers = 132, .uncut_tokens = uncut};
    const WorkPlan plan = make_plan(Schedule::kStream, {{32, 4, 128}, lengths, {}}, options);
    int cut_short = 0;
    for (const Segment& s : plan.segments()) cut_short += s.row != 5 && s.slot != Segment::kNoSlot ? 1 : 0;
    EXPECT_EQ(cut_short == 0, uncut == 64) << uncut;
  }
}

// Half of a segment's constant lies before its tokens, half after.
TEST(StreamCut, AUnitThatTwoShareIsCutInTheMiddle) {
  const std::vector<std::int32_t> lengths{2048, 1024};  // not alike
  const PlanOptions options{.tile_tokens = 16, .num_workers = 3, .segment_cost_tokens = 0};
  for (const int cost : {0, 32, 64}) {
    PlanOptions with = options;
    with.segment_cost_tokens = cost;
    const WorkPlan plan = make_plan(Schedule::kStream, {{1, 1, 64}, lengths, {}}, with);
    // The first of three runs ends where 2/3 of the way through row 0 would be without a constant.
    EXPECT_NEAR(static_cast<double>(cost_of(plan, 0).tokens), (3072.0 + 2 * cost) / 3 - 0.5 * cost, 8.0) << cost;
  }
}

TEST(StreamCut, NobodyGetsLessThanTheLeastRun) {
  const std::vector<std::int32_t> lengths{400, 1000, 30};
  const PlanOptions options{.tile_tokens = 16, .num_workers = 100, .min_run_tokens = 256, .segment_cost_tokens = 0};
  const WorkPlan plan = make_plan(Schedule::kStream, {{1, 1, 64}, lengths, {}}, options);
  std::vector<std::int64_t> tokens;
  for (int w = 0; w < plan.num_workers(); ++w)
    if (!plan.worker(w).empty()) tokens.push_back(cost_of(plan, w).tokens);
  ASSERT_EQ(tokens.size(), 6u);  // ceil(1430 / 256)
  for (std::size_t w = 0; w + 1 < tokens.size(); ++w) EXPECT_NEAR(static_cast<double>(tokens[w]), 256.0, 16.0);
}

// What is on its way before the kernel ahead has ended is read at once, whoever reads it.
TEST(StreamCut, WhereAKernelIsAheadAThirdOfTheWorkersIsLeftToTheNext) {
  const auto busy = [](std::vector<std::int32_t> lengths, int ahead) {
    const PlanOptions options{
        .tile_tokens = 16, .num_workers = 132, .min_run_tokens = 128, .ahead_tokens = ahead, .segment_cost_tokens = 0};
    const WorkPlan plan = make_plan(Schedule::kStream, {{32, 8, 128}, lengths, {}}, options);
    int workers = 0;
    for (int w = 0; w < plan.num_workers(); ++w) workers += plan.worker(w).empty() ? 0 : 1;
    return workers;
  };
  EXPECT_EQ(busy({1024}, 0), 8 * 8);
  EXPECT_EQ(busy({1024}, 256), 8 * 8);  // they are fewer anyway
  EXPECT_EQ(busy({4096}, 0), 8 * 16);
  EXPECT_EQ(busy({4096}, 256), 8 * 10);  // 384 tokens, half as much again as 256
  EXPECT_EQ(busy({8192}, 256), 8 * 16);  // 512 anyway
  EXPECT_EQ(busy({3000, 1000}, 0), 132);
  EXPECT_EQ(busy({3000, 1000}, 256), 89);  // 32,000 in runs of 242 + 121
}

TEST(StreamCut, SegmentCostShiftsWorkFromManyShortRowsToOneLong) {
  std::vector<std::int32_t> lengths(64, 32);
  lengths.push_back(64 * 32);
  const auto tokens_of_last = [&](int cost) {
    const WorkPlan plan =
        make_plan(Schedule::kStream, {{1, 1, 64}, lengths, {}}, {.num_workers = 2, .segment_cost_tokens = cost});
    return cost_of(plan, 1).tokens;
  };
  EXPECT_EQ(tokens_of_last(0), 2048);
  EXPECT_EQ(tokens_of_last(32), 2048 + 16 * 32);  // (64 * 64 + 2080) / 2: 48 short rows go first
}

TEST(StreamCut, ReusesItsStorage) {
  std::vector<std::int32_t> lengths(100, 500);
  StreamCut cut;
  cut.assign(8, lengths, {.num_workers = 132});
  const std::int64_t* before = cut.cost_before().data();
  lengths.resize(60);
  cut.assign(8, lengths, {.num_workers = 132});
  EXPECT_EQ(cut.cost_before().data(), before);
  EXPECT_EQ(cut.total_cost(), 60 * 8 * (500 + PlanOptions{}.segment_cost_tokens));
}

TEST(StreamCut, RefusesBadInput) {
  StreamCut cut;
  const std::vector<std::int32_t> ok{5};
  const std::vector<std::int32_t> too_long{(1 << 30) + 1};
  EXPECT_THROW(cut.assign(0, ok, {.num_workers = 1}), InvalidArgument);
  EXPECT_THROW(cut.assign(1, ok, {.num_workers = 0}), InvalidArgument);
  EXPECT_THROW(cut.assign(1, ok, {.tile_tokens = 0, .num_workers = 1}), InvalidArgument);
  EXPECT_THROW(cut.assign(1, ok, {.num_workers = 1, .segment_cost_tokens = -1}), InvalidArgument);
  EXPECT_THROW(cut.assign(1, ok, {.num_workers = 1, .min_run_tokens = -1}), InvalidArgument);
  EXPECT_THROW(cut.assign(1, ok, {.num_workers = 1, .uncut_tokens = -1}), InvalidArgument);
  EXPECT_THROW(cut.assign(1, ok, {.num_workers = 1, .ahead_tokens = -1}), InvalidArgument);
  EXPECT_THROW(cut.assign(1, ok, {.num_workers = 1, .whole_unit_tokens = -1}), InvalidArgument);
  EXPECT_THROW(cut.assign(1, ok, {.num_workers = 1, .whole_unit_tokens = 65536}), InvalidArgument);
  EXPECT_THROW(cut.assign(1, too_long, {.num_workers = 1}), InvalidArgument);
}

}  // namespace
}  // namespace pkv
