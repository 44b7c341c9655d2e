// The plan that the kernel of `stream` makes for itself is the one that the host's planner makes.

#include "conformance/random.hpp"
#include "persistentkv/plan/stream_cut.hpp"
#include "wide_plan.cuh"

#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <tuple>
#include <vector>

namespace {

using namespace pkv::cuda;
using pkv::conformance::Random;

constexpr int kEnds = kMaxWarps + 1;

struct CtaEnd {
  Place place;
  Sharers sharers;  // of the unit that the place cuts
};

struct CtaPlan {
  CtaEnd ends[kEnds];
  bool has_empty_rows;
  bool halved;
};

/// As stream_decode begins.
template <class Form, bool kMayHalve>
__global__ void plan_all(const __grid_constant__ StepParams step, const __grid_constant__ StreamParams stream,
                         const __grid_constant__ RareCuts rare, CtaPlan* plans) {
  __shared__ PlanShared shared;
  const int warps = static_cast<int>(blockDim.x) >> 5, cta = static_cast<int>(blockIdx.x);
  const StepRows<Form> rows(step, shared.narrow.tokens);
  CtaEnd end;
  bool has_empty_rows, halved = false;
  if (stream.wide) {
    const WarpPlan plan = make_wide_plan(step, stream, rare, shared, cta);
    end = {plan.place, plan.wide_sharers};
    has_empty_rows = plan.has_empty_rows;
  } else {
    StreamPlan<std::int32_t, Form, kMayHalve> plan(step, stream, rare, rows, shared.narrow);
    plan.make();
    const auto found = plan.end(plan.worker(cta));
    end = {found.place, plan.sharers(found)};
    has_empty_rows = plan.has_empty_rows();
    halved = plan.halved();
  }
  if (threadIdx.x < 32 && lane_id() <= warps) plans[cta].ends[lane_id()] = end;
  if (threadIdx.x == 0) {
    plans[cta].has_empty_rows = has_empty_rows;
    plans[cta].halved = halved;
  }
}

struct Case {
  std::vector<std::int32_t> lengths;
  int units;
  int warps;
  bool running_sums = false;  // of the lengths, in int64
  bool may_halve = false;     // the units, of narrow plans
  pkv::PlanOptions options;
  // Which kernel plans, of those that may: for rows that a lane each holds, for plain lengths, for any.
  int form = 0;
  // From so many tokens of all units on, 1024 each, the device takes the second of two cuts. The other has fewer
  // workers.
  std::uint16_t long_step_kilotokens = UINT16_MAX;
  int surplus_ctas = 0;  // that are launched, and for which there is no worker
  int other_workers = 1;
  int other_whole_unit_tokens = 0;
};

/// What the engine knows of a step's cost beforehand.
double cost_bound(const Case& c, double longest) {
  const double segment = std::max(5.0 * c.options.segment_cost_tokens, 1.0 * c.options.num_workers);
  return (longest + segment) * static_cast<double>(c.lengths.size()) * c.units +
         1.0 * c.options.num_workers * c.options.tile_tokens;
}

int longest_row(const Case& c) { return *std::max_element(c.lengths.begin(), c.lengths.end()); }

/// Rows that are all alike, or else empty: they may be cut at whole units. Half of them cost nearly 2^31.
void make_alike(Case& c, Random& random) {
  std::int32_t tokens = static_cast<std::int32_t>(random.in(1, 1 << random.in(0, 17)));
  if (random.chance(0.5)) {
    const auto rows = static_cast<double>(c.lengths.size()) * c.units;
    const double most = std::min((0x1p31 - 1 - cost_bound(c, 0.0)) / rows, 0x1p30);
    if (most >= 1.0)
      tokens = std::max(static_cast<std::int32_t>(most * static_cast<double>(random.in(900, 999)) / 1000), 1);
  }
  for (std::int32_t& length : c.lengths) length = length > 0 ? tokens : length;
}

double least_cost(const Case& c) {
  const int run = std::max(2 * c.options.ahead_tokens, c.options.min_run_tokens);
  return 1.0 * c.options.num_workers * std::max(run, c.options.tile_tokens);
}

std::int64_t all_tokens(const Case& c) {
  std::int64_t tokens = 0;
  for (const std::int32_t length : c.lengths) tokens += std::max(length, 0);
  return tokens * c.units;
}

bool is_long(const Case& c) { return all_tokens(c) >> 10 >= c.long_step_kilotokens; }

/// So many workers that the units are just halved, or just not.
void aim_at_halving(Case& c, Random& random) {
  const std::int64_t workers = all_tokens(c) / pkv::arith::kHalvedRun + random.in(0, 1);
  if (workers >= 2 && workers <= 300) c.options.num_workers = static_cast<int>(workers);
}

Case random_case(Random& random) {
  Case c;
  const std::int64_t kind = random.in(0, 3);
  const std::int64_t batch = kind == 0 ? 1 : kind == 1 ? random.in(2, 32) : random.in(33, kind == 2 ? 200 : 4096);
  const double empty = random.chance(0.5) ? 0.0 : kind == 0 ? 0.2 : 0.9;
  const std::int64_t longest = std::int64_t{1} << random.in(0, kind == 0 ? 26 : random.chance(0.1) ? 22 : 17);
  for (std::int64_t row = 0; row < batch; ++row)
    c.lengths.push_back(random.chance(empty) ? static_cast<std::int32_t>(random.in(-2, 0))
                                             : static_cast<std::int32_t>(random.in(1, longest)));
  c.units = static_cast<int>(random.in(1, random.chance(0.2) ? 64 : 8));
  c.warps = static_cast<int>(random.in(1, kMaxWarps));
  c.running_sums = random.chance(0.2);
  constexpr int kTiles[] = {16, 16, 16, 32, 64, 1, 13, 128};
  c.options.tile_tokens = random.pick(std::span<const int>(kTiles));
  c.options.segment_cost_tokens =
      random.chance(0.3) ? 0 : static_cast<int>(random.in(1, random.chance(0.2) ? 5000 : 64));
  if (random.chance(0.5)) c.options.uncut_tokens = static_cast<int>(random.in(0, random.chance(0.5) ? 300 : 20000));
  if (random.chance(0.3)) c.options.min_run_tokens = static_cast<int>(random.in(1, 4000));
  if (random.chance(0.3)) c.options.ahead_tokens = static_cast<int>(random.in(1, random.chance(0.5) ? 600 : 20000));
  constexpr int kWorkers[] = {1, 28, 128, 131, 131, 132, 169, 264};
  c.options.num_workers =
      random.chance(0.5) ? random.pick(std::span<const int>(kWorkers)) : static_cast<int>(random.in(1, 300));
  const auto units = static_cast<int>(batch) * c.units;
  if (units <= 64 && random.chance(0.3)) c.options.num_workers = units * static_cast<int>(random.in(1, 4));
  if (random.chance(0.4)) make_alike(c, random);
  if (random.chance(0.5))
    c.options.whole_unit_tokens = static_cast<int>(random.in(0, random.chance(0.5) ? 300 : 65535));
  c.other_workers = c.options.num_workers;
  c.other_whole_unit_tokens = c.options.whole_unit_tokens;
  c.form = static_cast<int>(random.in(0, 2));
  c.may_halve = c.options.num_workers > 1 && batch <= pkv::arith::kMostHalvedRows && random.chance(0.5) &&
                cost_bound(c, longest_row(c)) + least_cost(c) < 0x1p31;
  if (c.may_halve && random.chance(0.5)) aim_at_halving(c, random);
  if (!c.may_halve && random.chance(0.4)) {
    const std::int64_t least = (all_tokens(c) >> 10) + random.in(0, 1);
    c.long_step_kilotokens = static_cast<std::uint16_t>(std::min<std::int64_t>(least, UINT16_MAX));
    c.other_workers = std::max(c.options.num_workers - static_cast<int>(random.in(0, 4)), 1);
    c.other_whole_unit_tokens = static_cast<int>(random.in(0, 65535));
  }
  // No more than there are workers: runs that begin past the last end below 2^32.
  c.surplus_ctas = static_cast<int>(random.in(0, std::min(3, c.options.num_workers)));
  return c;
}

class DevicePlan : public ::testing::Test {
 protected:
  void SetUp() override {
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) GTEST_SKIP() << "no CUDA device on this machine";
    ASSERT_EQ(cudaMalloc(&lengths_, 8 * 5000), cudaSuccess);
    ASSERT_EQ(cudaMalloc(&plans_, sizeof(CtaPlan) * 3000), cudaSuccess);
    ASSERT_EQ(cudaMalloc(&errors_, sizeof(unsigned)), cudaSuccess);
    ASSERT_EQ(cudaMemset(errors_, 0, sizeof(unsigned)), cudaSuccess);
  }
  void TearDown() override {
    for (void* memory : {static_cast<void*>(lengths_), static_cast<void*>(plans_), static_cast<void*>(errors_)})
      (void)cudaFree(memory);
  }

  std::vector<CtaPlan> plan_on_device(const Case& c, bool wide) {
    StepParams step;
    step.batch = static_cast<int>(c.lengths.size());
    step.num_units = c.units;
    step.max_row_tokens = 1 << 30;
    step.lengths = {lengths_, c.running_sums};
    step.cumulative = c.running_sums;
    step.plain_lengths = !c.running_sums;
    step.errors = errors_;
    if (c.running_sums) {
      std::vector<std::int64_t> sums = {5};
      for (const std::int32_t length : c.lengths) sums.push_back(sums.back() + length);
      EXPECT_EQ(cudaMemcpy(lengths_, sums.data(), sums.size() * 8, cudaMemcpyHostToDevice), cudaSuccess);
    } else {
      EXPECT_EQ(cudaMemcpy(lengths_, c.lengths.data(), c.lengths.size() * 4, cudaMemcpyHostToDevice), cudaSuccess);
    }
    const int short_workers = is_long(c) ? c.other_workers : c.options.num_workers;
    const int short_whole = is_long(c) ? c.other_whole_unit_tokens : c.options.whole_unit_tokens;
    StreamParams stream;
    stream.workers = pkv::arith::Divisor(short_workers);
    stream.long_step_kilotokens = c.long_step_kilotokens;
    stream.warps = pkv::arith::Divisor(c.warps);
    stream.tile_tokens = pkv::arith::Divisor(c.options.tile_tokens);
    stream.segment_cost_tokens = c.options.segment_cost_tokens;
    stream.min_run_tokens = std::max(c.options.min_run_tokens, c.options.tile_tokens);
    stream.ahead_tokens = c.options.ahead_tokens;
    stream.uncut_tokens = c.options.uncut_tokens;
    stream.wide = wide;
    stream.may_halve = c.may_halve;
    const std::int64_t units = std::int64_t{step.batch} * c.units;
    stream.whole = pkv::arith::WholeUnits(units, short_workers, short_whole);
    RareCuts rare;
    rare.half_workers = pkv::arith::Divisor(std::max(short_workers / 2, 1));
    rare.whole_halves = pkv::arith::WholeUnits(units, rare.half_workers.value, short_whole);
    rare.whole_unit_tokens = short_whole;
    rare.long_workers = pkv::arith::Divisor(is_long(c) ? c.options.num_workers : c.other_workers);
    rare.long_whole_unit_tokens = is_long(c) ? c.options.whole_unit_tokens : c.other_whole_unit_tokens;
    const auto ctas = static_cast<std::size_t>(c.options.num_workers + c.surplus_ctas);
    EXPECT_EQ(cudaMemset(plans_, 0xff, sizeof(CtaPlan) * ctas), cudaSuccess);
    const auto kernel = [&]<class Form>(Form) { return c.may_halve ? plan_all<Form, true> : plan_all<Form, false>; };
    const auto chosen = c.running_sums || wide || c.form == 2  ? kernel(AnyForm())
                        : c.form == 1 || c.lengths.size() > 32 ? kernel(UsualForm<INT32_MAX>())
                                                               : kernel(UsualForm<32>());
    chosen<<<static_cast<unsigned>(ctas), static_cast<unsigned>(c.warps * 32)>>>(step, stream, rare, plans_);
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
    std::vector<CtaPlan> plans(ctas);
    EXPECT_EQ(cudaMemcpy(plans.data(), plans_, sizeof(CtaPlan) * ctas, cudaMemcpyDeviceToHost), cudaSuccess);
    return plans;
  }

  void* lengths_ = nullptr;
  CtaPlan* plans_ = nullptr;
  unsigned* errors_ = nullptr;
};

auto key(const Place& p) { return std::tuple(p.row, p.unit, p.token); }

/// The CTAs' ends are the host's, and those of warps lie between them, in order and on tiles.
void expect_ends(const Case& c, const pkv::StreamCut& cut, const std::vector<CtaPlan>& plans) {
  const int tile = c.options.tile_tokens;
  const auto expect_end = [&](const Place& place, int worker) {
    const pkv::StreamCut::Position at = cut.begin(worker);
    ASSERT_EQ(key(place), std::tuple(at.row, at.kv_head, at.tile * tile)) << "end of CTA " << worker;
  };
  for (int cta = 0; cta < c.options.num_workers; ++cta) {
    const CtaPlan& plan = plans[static_cast<std::size_t>(cta)];
    expect_end(plan.ends[0].place, cta);
    expect_end(plan.ends[c.warps].place, cta + 1);
    for (int w = 0; w <= c.warps; ++w) {
      const Place& end = plan.ends[w].place;
      if (w > 0) {
        ASSERT_LE(key(plan.ends[w - 1].place), key(end)) << "CTA " << cta << ", warp " << w;
      }
      if (end.row == static_cast<int>(c.lengths.size())) continue;
      ASSERT_EQ(end.token % tile, 0);
      ASSERT_EQ(end.tokens, c.lengths[static_cast<std::size_t>(end.row)]) << "rows that are cut have tokens";
      ASSERT_LT(end.token, end.tokens);
      ASSERT_LT(end.unit, c.units);
    }
  }
}

/// Those who share a unit are those whose partials the host's plan merges.
void expect_sharers(const Case& c, const pkv::StreamCut& cut, const std::vector<CtaPlan>& plans) {
  const pkv::WorkPlan plan = cut.materialize(c.units, 64);
  std::map<std::pair<int, int>, const pkv::Merge*> merges;
  for (const pkv::Merge& merge : plan.merges()) merges[{merge.row, merge.kv_head}] = &merge;
  for (std::size_t cta = 0; cta < plans.size(); ++cta) {
    for (const int end : {0, c.warps}) {
      const auto& [place, sharers] = plans[cta].ends[end];
      if (place.token == 0) {
        ASSERT_EQ(sharers.count, 0) << "CTA " << cta;
        continue;
      }
      const auto found = merges.find({place.row, place.unit});
      ASSERT_NE(found, merges.end()) << "CTA " << cta;
      const auto slots = plan.slots(*found->second);
      ASSERT_EQ(sharers.count, std::ssize(slots)) << "CTA " << cta;
      for (int i = 0; i < sharers.count; ++i)
        ASSERT_EQ(pkv::arith::partial_slot(sharers.first + i, i), slots[static_cast<std::size_t>(i)]) << "CTA " << cta;
    }
  }
}

/// CTAs from `used` on have nothing to do.
void expect_idle(const Case& c, int used, std::vector<CtaPlan>& plans) {
  const std::tuple<int, int, int> past_end(static_cast<int>(c.lengths.size()), 0, 0);
  for (auto cta = static_cast<std::size_t>(used); cta < plans.size(); ++cta)
    for (int end = 0; end <= c.warps; ++end) ASSERT_EQ(key(plans[cta].ends[end].place), past_end) << "CTA " << cta;
  plans.resize(static_cast<std::size_t>(used));
}

/// Whether short steps, and no others, have their units halved: then two CTAs have the run of each of half as many
/// workers. The workers' are left in `plans`.
void expect_halved(Case& c, bool wide, std::vector<CtaPlan>& plans) {
  const bool halved = c.may_halve && !wide && all_tokens(c) / c.options.num_workers < pkv::arith::kHalvedRun;
  for (const CtaPlan& plan : plans) ASSERT_EQ(plan.halved, halved);
  if (halved) c.options.num_workers /= 2;
  expect_idle(c, (halved ? 2 : 1) * c.options.num_workers, plans);
  if (!halved) return;
  for (std::size_t w = 0; w < static_cast<std::size_t>(c.options.num_workers); ++w) {
    for (int end = 0; end <= c.warps; ++end) {
      const CtaEnd &first = plans[2 * w].ends[end], &second = plans[2 * w + 1].ends[end];
      ASSERT_EQ(key(first.place), key(second.place)) << "halves of worker " << w;
      ASSERT_EQ(first.sharers.first, second.sharers.first);
      ASSERT_EQ(first.sharers.count, second.sharers.count);
    }
    plans[w] = plans[2 * w];
  }
  plans.resize(static_cast<std::size_t>(c.options.num_workers));
}

/// The device's plan of a case, in 32 or 64 bits, next to the host's. Counts the CTAs that continue another's unit.
int expect_the_hosts(Case c, bool wide, std::vector<CtaPlan> plans) {
  SCOPED_TRACE(::testing::Message() << c.lengths.size() << " rows, " << c.units << " units, " << c.options.num_workers
                                    << " workers of " << c.warps << " warps, tile " << c.options.tile_tokens
                                    << ", ahead " << c.options.ahead_tokens << ", segment cost "
                                    << c.options.segment_cost_tokens << ", longest row " << longest_row(c)
                                    << (wide ? ", wide" : ", narrow"));
  expect_halved(c, wide, plans);
  pkv::StreamCut cut;
  cut.assign(c.units, c.lengths, c.options);
  expect_ends(c, cut, plans);
  expect_sharers(c, cut, plans);
  const bool empty = std::any_of(c.lengths.begin(), c.lengths.end(), [](std::int32_t length) { return length <= 0; });
  int continued = 0;
  for (const CtaPlan& plan : plans) {
    EXPECT_EQ(plan.has_empty_rows, empty);
    if (plan.ends[0].place.token > 0) ++continued;
  }
  return continued;
}

TEST_F(DevicePlan, IsTheHosts) {
  Random random(pkv::conformance::test_seed());
  int continued = 0, narrow_plans = 0, wide_plans = 0, halved_plans = 0, long_plans = 0;
  for (int i = 0; i < 600; ++i) {
    SCOPED_TRACE(::testing::Message() << "PKV_TEST_SEED=" << pkv::conformance::test_seed() << ", case " << i);
    const Case c = random_case(random);
    // As the engine decides it; but what fits 32 bits fits 64 too.
    const bool wide = cost_bound(c, longest_row(c)) >= 0x1p31 || random.chance(0.3);
    ++(wide ? wide_plans : narrow_plans);
    const std::vector<CtaPlan> plans = plan_on_device(c, wide);
    halved_plans += plans.front().halved ? 1 : 0;
    long_plans += is_long(c) ? 1 : 0;
    continued += expect_the_hosts(c, wide, plans);
    if (HasFailure()) return;
  }
  EXPECT_GT(continued, 1000) << "units that CTAs share were hardly tried";
  EXPECT_GT(narrow_plans, 50);
  EXPECT_GT(wide_plans, 50);
  EXPECT_GT(halved_plans, 20);
  EXPECT_GT(long_plans, 20);
  unsigned errors = 0;
  EXPECT_EQ(cudaMemcpy(&errors, errors_, sizeof(errors), cudaMemcpyDeviceToHost), cudaSuccess);
  EXPECT_EQ(errors, 0u);
}

/// Rows that are alike, for whole CTAs.
Case case_of(std::size_t rows, std::int32_t tokens, int units, int workers) {
  Case c{.lengths = std::vector<std::int32_t>(rows, tokens), .units = units, .warps = kMaxWarps};
  c.options.tile_tokens = 16;
  c.options.num_workers = workers;
  return c;
}

/// Their tokens' sum passes 2^31, and is long.
TEST_F(DevicePlan, KnowsLongStepsPast32Bits) {
  Case c = case_of(2, 1 << 30, 1, 132);
  c.other_workers = 131;
  c.long_step_kilotokens = 60000;
  ASSERT_TRUE(is_long(c));
  expect_the_hosts(c, true, plan_on_device(c, true));
}

/// 128 units of one CTA each; three CTAs have none, and would begin past 2^31 if they had.
TEST_F(DevicePlan, HoldsForIdleCtasPast32Bits) {
  const Case c = case_of(16, 16'500'000, 8, 131);
  ASSERT_LT(cost_bound(c, longest_row(c)), 0x1p31);
  for (const bool wide : {true, false}) expect_the_hosts(c, wide, plan_on_device(c, wide));
}

}  // namespace
