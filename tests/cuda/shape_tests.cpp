// Shapes at the edges of what is served: groups that take several passes over K and V, very many rows, one very long
// row, pages of sizes that no tile divides.

#include "arith/stream.hpp"
#include "cuda/paged_problem.hpp"
#include "persistentkv/plan/planner.hpp"

#include <algorithm>

namespace pkv::testing {

namespace {

class CudaShapes : public EngineTest {
 protected:
  /// Runs rows of these lengths, and compares `samples` rows and KV heads with the oracle; 0: all of them.
  void attend(const Dimensions& d, const std::vector<std::int32_t>& lengths, int samples = 0) {
    PagedProblem problem(d, random_);
    problem.draw(lengths);
    const auto prepared = prepare(problem.device_step());
    prepared->run(problem.device_layer(), nullptr);
    EXPECT_FALSE(prepared->take_errors(nullptr).any());
    if (samples == 0) {
      EXPECT_EQ(problem.disagreement(), "");
      return;
    }
    ASSERT_EQ(problem.download(), "");
    for (int i = 0; i < samples; ++i) {
      const std::int64_t row = i == 0 ? d.batch - 1 : random_.in(0, d.batch - 1);
      ASSERT_EQ(problem.wrong_group(row, static_cast<int>(random_.in(0, d.shape.num_kv_heads - 1))), "");
    }
  }
};

/// More than 8 heads of a KV head: short steps take them in halves, which of an odd number differ, and others do not.
/// One step that is prepared once sees both: so few CTAs that steps need not be large for it.
TEST_F(CudaShapes, ShortStepsOfGroupsInHalves) {
  constexpr int kCtas = 5;
  bool seen_halved = false, seen_whole = false;
  const auto backend = make_cuda_backend({.max_ctas = kCtas});
  for (const int group_size : {9, 12, 15, 16}) {
    for (const int head_dim : {64, 80, 128}) {
      Dimensions d;
      d.shape = {.num_q_heads = 2 * group_size, .num_kv_heads = 2, .head_dim = head_dim};
      d.dtype = d.out_dtype = head_dim == 80 ? DType::kBF16 : DType::kF16;
      d.batch = random_.in(1, 40);
      // Of two KV heads, and an even number of CTAs.
      const int short_tokens = arith::kHalvedRun * (kCtas - 1) / 2 / static_cast<int>(d.batch);
      d.pages_per_row = short_tokens / 8 + 1;
      PagedProblem problem(d, random_);
      PlanOptions options = stream_options();
      options.min_run_tokens = 128;
      const auto prepared = backend->prepare(problem.device_step(), Schedule::kStream, options, CudaWorkspace{});
      for (const int most : {16, short_tokens, d.capacity_tokens()}) {
        problem.draw(problem.random_lengths(std::clamp(most, 1, d.capacity_tokens())));
        for (const bool alike : {false, true}) {
          SCOPED_TRACE(::testing::Message() << "G = " << group_size << ", d = " << head_dim << ", batch " << d.batch
                                            << ", up to " << most << " tokens" << (alike ? ", alike" : ""));
          if (alike)
            problem.draw(
                std::vector<std::int32_t>(static_cast<std::size_t>(d.batch), std::clamp(most, 1, d.capacity_tokens())));
          problem.poison_outputs();
          prepared->run(problem.device_layer(), nullptr);
          ASSERT_EQ(problem.disagreement(), "");
          std::int64_t tokens = 0;
          for (const std::int32_t length : problem.lengths()) tokens += std::max(length, 0);
          const bool by_twos = d.batch <= arith::kMostHalvedRows;
          const bool halved = by_twos && 2 * tokens / (kCtas - 1) < arith::kHalvedRun;
          PlanOptions cut = options;
          cut.num_workers = halved ? (kCtas - 1) / 2 : by_twos ? kCtas - 1 : kCtas;
          const WorkPlan plan = make_plan(Schedule::kStream, {d.shape, problem.lengths(), {}}, cut);
          ASSERT_EQ(prepared->executed_for(problem.lengths()).segments, (halved ? 2 : 1) * plan.counters().segments);
          (halved ? seen_halved : seen_whole) = true;
        }
      }
    }
  }
  EXPECT_TRUE(seen_halved);
  EXPECT_TRUE(seen_whole);
}

/// A table that could hold a long step: chained launches have CTAs for it, which a short one leaves idle.
TEST_F(CudaShapes, HalvesWhereALongStepWouldHaveMoreCtas) {
  Dimensions d;
  d.shape = {.num_q_heads = 32, .num_kv_heads = 2, .head_dim = 128};
  d.batch = 3;
  d.pages_per_row = 120;
  PagedProblem problem(d, random_);
  problem.draw(problem.random_lengths(d.capacity_tokens()));
  const std::int64_t width = std::int64_t{arith::kLongRun} * backend_->device().num_sms / 16;
  std::vector<std::int32_t> table(static_cast<std::size_t>(d.batch * width), -7);
  for (std::int64_t row = 0; row < d.batch; ++row)
    std::copy_n(problem.entries().begin() + row * d.pages_per_row, d.pages_per_row, table.begin() + row * width);
  const DeviceIndices<std::int32_t> entries(table);
  Step step = problem.device_step();
  step.table.entries = entries.view();
  step.table.row_stride = step.table.entries_per_row = width;
  const auto prepared = prepare(step);
  std::int64_t ctas = 0;
  for (const bool dependent : {false, true}) {
    problem.poison_outputs();
    prepared->run(problem.device_layer(), nullptr, {.programmatic_dependent_launch = dependent});
    ASSERT_EQ(problem.disagreement(), "");
    const ExecutedCounters executed = prepared->executed_for(problem.lengths());
    EXPECT_EQ(executed.segments % 2, 0);
    if (dependent) {
      EXPECT_EQ(executed.decode_ctas, ctas);
    }
    ctas = executed.decode_ctas;
  }
}

TEST_F(CudaShapes, GroupsOfManyHeads) {
  for (const int group_size : {32, 64, 71}) {
    for (const int head_dim : {64, 128, 256}) {
      SCOPED_TRACE(::testing::Message() << "G = " << group_size << ", d = " << head_dim);
      Dimensions d;
      d.shape = {.num_q_heads = group_size, .num_kv_heads = 1, .head_dim = head_dim};
      d.dtype = d.out_dtype = head_dim == 64 ? DType::kBF16 : DType::kF16;
      d.batch = 4;
      d.pages_per_row = 130;
      attend(d, {2075, 0, 16, 333});
    }
  }
}

TEST_F(CudaShapes, ManyShortRows) {
  Dimensions d;
  d.batch = 4096;
  d.pages_per_row = 3;
  std::vector<std::int32_t> lengths(4096);
  for (std::int32_t& length : lengths) length = random_.chance(0.3) ? 0 : static_cast<std::int32_t>(random_.in(1, 48));
  attend(d, lengths, 3000);
}

TEST_F(CudaShapes, ManyRowsOfWhichOneIsLong) {
  Dimensions d;
  d.batch = 1000;
  d.num_pages = 1400;
  d.pages_per_row = 200;
  std::vector<std::int32_t> lengths(1000);
  for (std::int32_t& length : lengths) length = static_cast<std::int32_t>(random_.in(-1, 16));
  lengths.back() = 3100;
  attend(d, lengths, 600);
}

TEST_F(CudaShapes, ARowOfAMillionTokens) {
  Dimensions d;
  d.shape = {.num_q_heads = 4, .num_kv_heads = 1, .head_dim = 64};
  d.out_dtype = DType::kF32;  // elements of out are about 1e-3
  d.page_size = 64;
  d.pages_per_row = (1 << 20) / 64;
  attend(d, {(1 << 20) - 5});
}

/// Steps that are launched dependently leave an SM free, but not long ones: these are cut as if they were alone.
TEST_F(CudaShapes, LongDependentStepsAreCutAsOthers) {
  Dimensions d;
  d.shape = {.num_q_heads = 8, .num_kv_heads = 8, .head_dim = 64};
  d.out_dtype = DType::kF32;
  d.batch = 2;
  const std::int64_t tokens = std::int64_t{arith::kLongRun} * backend_->device().num_sms / 16 + 1024;
  d.pages_per_row = (tokens + 15) / 16;
  PagedProblem problem(d, random_);
  const auto most = static_cast<std::int32_t>(tokens);
  const auto prepared = prepare(problem.device_step());
  for (const std::int32_t shorter : {0, 100, most / 2}) {
    SCOPED_TRACE(::testing::Message() << "rows of " << most << " and " << most - shorter << " tokens");
    const std::vector<std::int32_t> lengths{most, most - shorter};
    problem.draw(lengths);
    prepared->run(problem.device_layer(), nullptr);
    const ExecutedCounters alone = prepared->executed_for(lengths);
    problem.poison_outputs();
    prepared->run(problem.device_layer(), nullptr, {.programmatic_dependent_launch = true});
    ASSERT_EQ(problem.disagreement(), "");
    const ExecutedCounters chained = prepared->executed_for(lengths);
    if (shorter <= 100) {
      EXPECT_EQ(chained.segments, alone.segments);
      EXPECT_EQ(chained.partials, alone.partials);
    } else if (backend_->device().compute_capability >= 90) {
      EXPECT_NE(chained.segments, alone.segments) << "no longer long";
    }
  }
}

/// Chained, a step whose runs the rings hold leaves a third of the CTAs to the next one, unless the caller says how
/// long runs are.
TEST_F(CudaShapes, DependentStepsLeaveRoomForTheNext) {
  if (backend_->device().compute_capability < 90) GTEST_SKIP() << "no programmatic dependent launch on this device";
  Dimensions d;
  d.batch = 2;
  const int workers = backend_->device().num_sms - 1;
  d.pages_per_row = workers * 100 / 16 + 1;
  PagedProblem problem(d, random_);
  for (const int least : {0, 128}) {
    PlanOptions options = stream_options();
    options.min_run_tokens = least;
    const auto prepared = backend_->prepare(problem.device_step(), Schedule::kStream, options, CudaWorkspace{});
    for (const std::vector<std::int32_t>& lengths : {std::vector{workers * 100, 0}, {workers * 60, workers * 40}}) {
      SCOPED_TRACE(::testing::Message() << "rows of " << lengths[0] << " and " << lengths[1] << " tokens, least run "
                                        << least);
      problem.draw(lengths);
      problem.poison_outputs();
      prepared->run(problem.device_layer(), nullptr, {.programmatic_dependent_launch = true});
      ASSERT_EQ(problem.disagreement(), "");
      PlanOptions cut = options;
      cut.num_workers = workers;
      cut.min_run_tokens = 8 * cut.tile_tokens;  // of the least run, where none is given, a tile for each warp
      cut.whole_unit_tokens = PlanOptions::kMaxWholeUnitTokens;
      const auto segments = [&](int ahead) {
        cut.ahead_tokens = ahead;
        return make_plan(Schedule::kStream, {d.shape, lengths, {}}, cut).counters().segments;
      };
      constexpr int kInRings = 8 * 2 * 16;
      ASSERT_NE(segments(kInRings), segments(0));
      EXPECT_EQ(prepared->executed_for(lengths).segments, segments(least == 0 ? kInRings : 0));
    }
  }
}

/// Where more than 32 CTAs share a unit, groups of them combine first. Counters must be zero again after a run.
TEST_F(CudaShapes, UnitsThatManyCtasShare) {
  for (const auto& [heads, group_size] : {std::pair{1, 16}, {2, 16}, {3, 5}}) {
    Dimensions d;
    d.shape = {.num_q_heads = heads * group_size, .num_kv_heads = heads, .head_dim = 128};
    d.batch = 3;
    d.pages_per_row = 1100;
    for (const int max_ctas : {33, 40, 41, 65, 300}) {
      SCOPED_TRACE(::testing::Message() << heads << " KV heads, G = " << group_size << ", CTAs " << max_ctas);
      PagedProblem problem(d, random_);
      problem.draw(std::vector<std::int32_t>{static_cast<std::int32_t>(random_.in(12000, 17600)),
                                             static_cast<std::int32_t>(random_.in(1, 200)),
                                             static_cast<std::int32_t>(random_.in(0, 3000))});
      const auto backend = make_cuda_backend({.max_ctas = max_ctas});
      for (const bool always_whole : {false, true}) {  // groups, as they are where the caller chooses the cut
        PlanOptions options = stream_options();
        if (always_whole) options.num_workers = std::min(max_ctas, backend->device().num_sms);
        const auto prepared = backend->prepare(problem.device_step(), Schedule::kStream, options);
        for (int run = 0; run < 2; ++run) {
          problem.poison_outputs();
          prepared->run(problem.device_layer(), nullptr);
          ASSERT_EQ(problem.disagreement(), "");
        }
      }
    }
  }
}

/// Counters of groups are not those of the unit that the last of their CTAs begins: of 8 CTAs after the first, and one.
TEST_F(CudaShapes, TheLastOfManyCtasBeginsAnotherUnit) {
  constexpr int kRunTokens = 160;
  for (const int sharers : {33, 41, 49, 50}) {
    SCOPED_TRACE(::testing::Message() << sharers << " CTAs share the first unit");
    Dimensions d;
    d.shape = {.num_q_heads = 4, .num_kv_heads = 1, .head_dim = 64};
    d.batch = 2;
    d.pages_per_row = sharers * kRunTokens / 16;
    PlanOptions options = stream_options();
    options.num_workers = sharers + 7;
    // A unit costs its tokens and a constant, half of it before them and half after, and five where 16 CTAs or more
    // share it: its last CTA has 32 tokens of it and as many of the next one.
    const int constant = options.segment_cost_tokens;
    const std::int32_t first = (sharers - 1) * kRunTokens - 5 * constant / 2 + 32;
    const std::int32_t second = options.num_workers * kRunTokens - first - 6 * constant;
    PagedProblem problem(d, random_);
    problem.draw(std::vector<std::int32_t>{first, second});
    const auto prepared = backend_->prepare(problem.device_step(), Schedule::kStream, options);
    for (int run = 0; run < 2; ++run) {
      problem.poison_outputs();
      prepared->run(problem.device_layer(), nullptr);
      ASSERT_EQ(problem.disagreement(), "");
    }
  }
}

/// What the fused workqueue merges: one, two or four heads at a time, a warp's heads not all alike in number, at once
/// or in groups of eight parts, of which the last may be one. Counters must be zero again after a run.
TEST_F(CudaShapes, MergesOfManyParts) {
  constexpr int kLongest = 72 * 32;
  // Large groups are taken whole where a few CTAs would have much to read by halves.
  const auto few_ctas = make_cuda_backend({.max_ctas = 1});
  for (const int group_size : {1, 4, 5, 8, 11, 16, 20, 32}) {
    for (const int splits : {2, 9, 16, 17, 24, 25, 32, 33, 49, 70}) {
      SCOPED_TRACE(::testing::Message() << "G = " << group_size << ", splits " << splits);
      Dimensions d;
      d.shape = {.num_q_heads = group_size, .num_kv_heads = 1, .head_dim = 64};
      d.batch = 3;
      d.pages_per_row = kLongest / 16;
      PagedProblem problem(d, random_);
      problem.draw(std::vector<std::int32_t>{static_cast<std::int32_t>(random_.in(kLongest - 64, kLongest)), 17, 2222});
      PlanOptions options = stream_options();
      options.tile_tokens = 32;
      options.splits = splits;
      for (CudaBackend* backend : {backend_.get(), few_ctas.get()}) {
        if (backend == few_ctas.get() && group_size <= 8) continue;
        const auto prepared = backend->prepare(problem.host_step(), Schedule::kWorkqueueFused, options);
        for (int run = 0; run < 2; ++run) {
          problem.poison_outputs();
          prepared->run(problem.device_layer());
          ASSERT_EQ(problem.disagreement(), "");
        }
      }
    }
  }
}

TEST_F(CudaShapes, PagesOfAnySize) {
  for (const int page_size : {1, 3, 24, 100}) {
    for (const int head_dim : {64, 80, 96, 128, 256}) {
      SCOPED_TRACE(::testing::Message() << "pages of " << page_size << ", d = " << head_dim);
      Dimensions d;
      d.shape = {.num_q_heads = 12, .num_kv_heads = 3, .head_dim = head_dim};
      d.page_size = page_size;
      d.batch = 5;
      d.pages_per_row = 900 / page_size;
      attend(d, {d.capacity_tokens(), 1, 0, 100, 333});
    }
  }
}

}  // namespace

}  // namespace pkv::testing
