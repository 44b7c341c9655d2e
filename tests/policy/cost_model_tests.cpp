// The paper's arithmetic against figures worked out by hand: RTX 3060, beta 302 GB/s, 28 SMs, C_min 4, lambda 8 us;
// Hq = 32, Hkv = 8, d = 128, fp16. A token of K and V is 4096 bytes, a tile 32 tokens, a partial state 130 floats.
#include "persistentkv/policy/cost_model.hpp"

#include "persistentkv/core/error.hpp"
#include "persistentkv/policy/profile_io.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace pkv {
namespace {

const DeviceProfile& paper() {
  static const DeviceProfile profile = find_profile("rtx3060-paper");
  return profile;
}

CostEstimate estimate(Route route, const std::vector<std::int32_t>& lengths, const PlanOptions& options = {},
                      const DeviceProfile& profile = paper()) {
  PolicyInput input;
  input.step.lengths = lengths;
  input.options = options;
  return estimate_cost(profile, route, input, summarize(input));
}

PlanOptions with_splits(int splits) {
  PlanOptions options;
  options.splits = splits;
  return options;
}

constexpr double kTolerance = 1e-6;  // of figures around 1e3, written with 6 decimals

TEST(CostModel, SummaryCountsActiveRowsOnly) {
  const std::vector<std::int32_t> lengths = {0, 4096, -3, 1024};
  PolicyInput input;
  input.step.lengths = lengths;
  const StepSummary step = summarize(input);
  EXPECT_EQ(step.active_rows, 2);
  EXPECT_EQ(step.kv_tokens, 5120);
  EXPECT_EQ(step.shortest_row_tokens, 1024);
  EXPECT_EQ(step.longest_row_tokens, 4096);
  EXPECT_EQ(step.kv_mib, 20.0);
}

// 8 rows of 32768 tokens: 1024 MiB, 1024 / 302 ms. 64 CTAs on 28 SMs: 2.285714, so 1.75 times as long.
TEST(CostModel, FlashInferIsUnderfilledByEightRows) {
  for (const Route route : {Route::kFlashInferTensorCore, Route::kFlashInferCudaCore}) {
    const CostEstimate e = estimate(route, std::vector<std::int32_t>(8, 32768));
    EXPECT_NEAR(e.kv_us, 3390.728477, kTolerance);
    EXPECT_NEAR(e.ctas_per_sm, 2.285714, kTolerance);
    EXPECT_NEAR(e.underfill, 1.75, kTolerance);
    EXPECT_EQ(e.launches, 1);
    EXPECT_EQ(e.launch_us, 8.0);
    EXPECT_EQ(e.merge_us, 0.0);
    EXPECT_NEAR(e.total_us, 5941.774834, kTolerance);
  }
}

// 1024 tiles at 64 a split: 16 splits. States: 8 * 32 * 16 = 4096 of 520 bytes: 2.03125 MiB.
TEST(CostModel, WorkqueueByItsOwnRule) {
  const CostEstimate e = estimate(Route::kWorkqueue, std::vector<std::int32_t>(8, 32768));
  EXPECT_EQ(e.splits, 16);
  EXPECT_NEAR(e.ctas_per_sm, 36.571429, kTolerance);
  EXPECT_EQ(e.underfill, 1.0);
  EXPECT_EQ(e.launches, 2);
  EXPECT_EQ(e.launch_us, 16.0);
  EXPECT_EQ(e.merge_mib, 2.03125);
  EXPECT_NEAR(e.merge_us, 6.725993, kTolerance);
  EXPECT_NEAR(e.total_us, 3413.454470, kTolerance);
}

/// Of nine rows, which the fused one splits as the paper does.
TEST(CostModel, FusedWorkqueueSavesALaunch) {
  const std::vector<std::int32_t> lengths = {100, 5000, 40000, 16384, 16384, 70, 20000, 33000, 4000};
  const CostEstimate two = estimate(Route::kWorkqueue, lengths);
  const CostEstimate one = estimate(Route::kWorkqueueFused, lengths);
  EXPECT_EQ(one.launches, 1);
  EXPECT_NEAR(two.total_us - one.total_us, 8.0, kTolerance);
}

// One row of 8192 tokens: 32 MiB. FlashInfer has 8 CTAs on 28 SMs, so 14 times as long.
TEST(CostModel, OneRow) {
  const CostEstimate flashinfer = estimate(Route::kFlashInferTensorCore, {8192});
  EXPECT_NEAR(flashinfer.underfill, 14.0, kTolerance);
  EXPECT_NEAR(flashinfer.total_us, 1491.443709, kTolerance);

  const CostEstimate split = estimate(Route::kSequenceSplit, {8192});
  EXPECT_EQ(split.splits, 32);
  EXPECT_NEAR(split.ctas_per_sm, 9.142857, kTolerance);
  EXPECT_EQ(split.merge_mib, 0.5078125);
  EXPECT_NEAR(split.merge_us, 1.681498, kTolerance);
  EXPECT_NEAR(split.total_us, 123.641763, kTolerance);
}

// The CTA work and merge MiB that the paper reports for its timed rows.
TEST(CostModel, PaperCountersOfTheTimedRows) {
  struct Row {
    Route route;
    std::int64_t rows;
    int splits;
    double ctas_per_sm;
    double merge_mib;
  };
  for (const Row& row : {Row{Route::kWorkqueue, 8, 20, 45.7, 2.54}, Row{Route::kWorkqueue, 8, 24, 54.9, 3.05},
                         Row{Route::kWorkqueue, 8, 28, 64.0, 3.55}, Row{Route::kExactBuckets, 8, 32, 73.1, 4.06},
                         Row{Route::kSequenceSplit, 1, 32, 9.1, 0.51}, Row{Route::kWorkqueue, 1, 24, 6.9, 0.38}}) {
    std::vector<std::int32_t> lengths;
    for (std::int32_t i = 0; i < row.rows; ++i) lengths.push_back(20000 + 100 * i);
    const CostEstimate e = estimate(row.route, lengths, with_splits(row.splits));
    EXPECT_NEAR(e.ctas_per_sm, row.ctas_per_sm, 0.05) << to_string(row.route) << " " << row.splits;
    EXPECT_NEAR(e.merge_mib, row.merge_mib, 0.01) << to_string(row.route) << " " << row.splits;
    EXPECT_EQ(e.launches, row.route == Route::kExactBuckets ? 16 : 2);
  }
}

// Two rows of 8192 (256 tiles; 256 / (8 * 2) = 16 splits), one of 4096 (128 tiles; 32 splits), one of 64 (2 tiles; 4).
TEST(CostModel, ExactBucketsAreCutEachByItsOwnRule) {
  const CostEstimate e = estimate(Route::kExactBuckets, {8192, 64, 4096, 8192});
  EXPECT_EQ(e.launches, 6);
  EXPECT_EQ(e.splits, 32);
  EXPECT_NEAR(e.ctas_per_sm, (2 * 16 + 32 + 4) * 8 / 28.0, kTolerance);
  EXPECT_NEAR(e.merge_mib, (2 * 16 + 32 + 4) * 32 * 520 / 1048576.0, kTolerance);
}

TEST(CostModel, CoarseBucketsRoundUpButNotPastARowsPages) {
  const std::vector<std::int32_t> lengths = {4000, 4096, 4097, 8000};
  const std::vector<std::int32_t> capacity = {4096, 4096, 4112, 8192};
  PolicyInput input;
  input.step.lengths = lengths;
  EXPECT_EQ(estimate_cost(paper(), Route::kCoarseBuckets, input, summarize(input)).launches, 4);
  input.step.capacity_tokens = capacity;
  EXPECT_EQ(estimate_cost(paper(), Route::kCoarseBuckets, input, summarize(input)).launches, 6);
}

TEST(CostModel, OneSplitNeedsNoMerge) {
  const CostEstimate e = estimate(Route::kExactBuckets, {8192, 4096}, with_splits(1));
  EXPECT_EQ(e.launches, 2);
  EXPECT_EQ(e.merge_mib, 0.0);
}

// Whatever a plan launches, the estimate must have counted: launches and decode CTAs, for rows with enough tiles.
TEST(CostModel, StructureIsThatOfThePlans) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::int32_t> lengths(1 + random() % 12);
    for (std::int32_t& length : lengths) length = static_cast<std::int32_t>(2048 + random() % 8 * 4096 + random() % 2);
    PlanOptions options;
    options.splits = static_cast<int>(random() % 3 * 16);
    PolicyInput input;
    input.step.lengths = lengths;
    input.options = options;
    for (const Route route : {Route::kExactBuckets, Route::kCoarseBuckets, Route::kPaddedBucket, Route::kSequenceSplit,
                              Route::kWorkqueue, Route::kWorkqueueFused}) {
      const PlanCounters counters = make_plan(*schedule_of(route), input.step, options).counters();
      const CostEstimate e = estimate_cost(paper(), route, input, summarize(input));
      EXPECT_EQ(e.launches, counters.launches) << to_string(route);
      const bool uneven_rows = schedule_of(route) == Schedule::kWorkqueue || route == Route::kWorkqueueFused;
      if (uneven_rows && options.splits == 0)
        EXPECT_GE(e.ctas_per_sm + kTolerance, counters.cta_work_per_sm(28));
      else
        EXPECT_NEAR(e.ctas_per_sm, counters.cta_work_per_sm(28), kTolerance) << to_string(route);
    }
  }
}

TEST(CostModel, StreamLaunchesOnceAndMergesLittle) {
  const std::vector<std::int32_t> lengths = {30000, 2000, 16384};
  PlanOptions options;
  EXPECT_EQ(estimate(Route::kStream, lengths, options).ctas_per_sm, 4.0);  // nobody said: C_min
  for (const int workers : {1, 7, 56, 300}) {
    options.num_workers = workers;
    PolicyInput input;
    input.step.lengths = lengths;
    const PlanCounters counters = make_plan(Schedule::kStream, input.step, options).counters();
    const CostEstimate e = estimate(Route::kStream, lengths, options);
    EXPECT_EQ(e.launches, 1);
    EXPECT_NEAR(e.ctas_per_sm, workers / 28.0, kTolerance);
    EXPECT_GE(e.merge_mib * 1048576 + 0.5, static_cast<double>(counters.merge_bytes)) << workers;
  }
}

TEST(CostModel, SiUnitsAreStraight) {
  DeviceProfile si = paper();
  si.cost.time_units = TimeUnits::kSi;
  const std::vector<std::int32_t> lengths(8, 32768);
  // 2^30 bytes at 302e9 bytes a second.
  EXPECT_NEAR(estimate(Route::kWorkqueue, lengths, {}, si).kv_us, 1073741824.0 / 302e9 * 1e6, kTolerance);
  EXPECT_NEAR(estimate(Route::kWorkqueue, lengths, {}, si).merge_us, 2129920.0 / 302e9 * 1e6, kTolerance);
}

TEST(CostModel, NothingToReadCostsLaunchesOnly) {
  for (const std::vector<std::int32_t>& lengths : {std::vector<std::int32_t>{}, std::vector<std::int32_t>{0, -1}}) {
    for (const Route route : kRunnableRoutes) {
      const CostEstimate e = estimate(route, lengths);
      EXPECT_EQ(e.kv_us, 0.0);
      EXPECT_EQ(e.merge_us, 0.0) << to_string(route);
      EXPECT_EQ(e.total_us, e.launch_us) << to_string(route);
    }
  }
}

TEST(CostModel, HugeBatchesNeitherOverflowNorLoseRows) {
  const std::vector<std::int32_t> lengths(100000, 1 << 30);
  for (const Route route : kRunnableRoutes) {
    const CostEstimate e = estimate(route, lengths);
    EXPECT_NEAR(e.kv_us, 1e5 * 4194304 / 302 * 1000, 1) << to_string(route);  // 4 TiB a row
    EXPECT_GE(e.total_us, e.kv_us);
  }
}

TEST(CostModel, BadInputIsRefused) {
  const std::vector<std::int32_t> lengths = {1024, 1024};
  const std::vector<std::int32_t> capacity = {1024};
  const auto summarize_with = [&](auto change) {
    PolicyInput input;
    input.step.lengths = lengths;
    change(input);
    return summarize(input);
  };
  EXPECT_THROW((void)summarize_with([](PolicyInput& input) { input.step.shape.num_kv_heads = 0; }), InvalidArgument);
  EXPECT_THROW((void)summarize_with([](PolicyInput& input) { input.step.shape.num_q_heads = 31; }), InvalidArgument);
  EXPECT_THROW((void)summarize_with([&](PolicyInput& input) { input.step.capacity_tokens = capacity; }),
               InvalidArgument);
  const std::vector<std::int32_t> too_long = {(1 << 30) + 1};
  EXPECT_THROW((void)summarize_with([&](PolicyInput& input) { input.step.lengths = too_long; }), InvalidArgument);

  EXPECT_THROW((void)estimate(Route::kPolicy, lengths), InvalidArgument);
  for (const auto& change : {+[](PlanOptions& o) { o.tile_tokens = 0; }, +[](PlanOptions& o) { o.bucket_tokens = -1; },
                             +[](PlanOptions& o) { o.splits = -1; }, +[](PlanOptions& o) { o.num_workers = -1; }}) {
    PlanOptions options;
    change(options);
    EXPECT_THROW((void)estimate(Route::kCoarseBuckets, lengths, options), InvalidArgument);
  }
}

}  // namespace
}  // namespace pkv
