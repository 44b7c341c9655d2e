#include "persistentkv/policy/router.hpp"

#include "persistentkv/core/error.hpp"
#include "persistentkv/policy/profile_io.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace pkv {
namespace {

using testing::HasSubstr;

class RouterTest : public testing::Test {
 protected:
  static Route route(const Router& router, const std::vector<std::int32_t>& lengths) {
    PolicyInput input;
    input.step.lengths = lengths;
    return router.choose(input).route;
  }
  static const RouteVerdict& verdict(const Decision& decision, Route route) {
    return *std::find_if(decision.routes.begin(), decision.routes.end(),
                         [route](const RouteVerdict& v) { return v.route == route; });
  }
  static std::vector<std::int32_t> rows(std::size_t count, std::int32_t tokens) {
    return std::vector<std::int32_t>(count, tokens);
  }

  Router paper_{find_profile("rtx3060-paper")};
  Router timed_{find_profile("rtx3060-paper-timed")};
};

TEST_F(RouterTest, LongestRowGate) {
  EXPECT_EQ(route(paper_, {16383}), Route::kFlashInferTensorCore);
  EXPECT_EQ(route(paper_, {16384}), Route::kSequenceSplit);
  EXPECT_EQ(route(paper_, rows(8, 16383)), Route::kFlashInferTensorCore);
  EXPECT_EQ(route(paper_, rows(8, 16384)), Route::kWorkqueue);
  std::vector<std::int32_t> one_long = rows(7, 2048);
  one_long.push_back(16384);
  EXPECT_EQ(route(paper_, one_long), Route::kWorkqueue);  // the longest row counts, not the mean
}

TEST_F(RouterTest, ActiveRowGates) {
  for (std::size_t active = 1; active <= 20; ++active) {
    // From 14 rows on FlashInfer's own 14 * 8 CTAs fill 28 SMs four times: it saves a launch and the merge.
    const Route expected = active == 1                   ? Route::kSequenceSplit
                           : active >= 8 && active <= 13 ? Route::kWorkqueue
                                                         : Route::kFlashInferTensorCore;
    EXPECT_EQ(route(paper_, rows(active, 32768)), expected) << active;
    std::vector<std::int32_t> with_empty = rows(active, 32768);
    with_empty.insert(with_empty.begin(), 3, 0);
    EXPECT_EQ(route(paper_, with_empty), expected) << "empty rows are not active";
  }
}

TEST_F(RouterTest, TimedRuleHasNoLengthGate) {
  EXPECT_EQ(route(timed_, {1}), Route::kSequenceSplit);
  EXPECT_EQ(route(timed_, {8192}), Route::kSequenceSplit);
  EXPECT_EQ(route(timed_, rows(2, 8192)), Route::kFlashInferTensorCore);
  EXPECT_EQ(route(timed_, rows(7, 65536)), Route::kFlashInferTensorCore);
  EXPECT_EQ(route(timed_, rows(8, 8192)), Route::kWorkqueue);
  EXPECT_EQ(route(timed_, rows(14, 8192)), Route::kFlashInferTensorCore);
}

TEST_F(RouterTest, UncalibratedStepsTakeTheSafeRoute) {
  const std::vector<std::int32_t> lengths = rows(8, 32768);
  PolicyInput input;
  input.step.lengths = lengths;
  EXPECT_EQ(paper_.choose(input).route, Route::kWorkqueue);

  const auto expect_safe = [&](const char* said) {
    const Decision decision = paper_.explain(input);
    EXPECT_EQ(paper_.choose(input).route, Route::kFlashInferTensorCore);
    EXPECT_EQ(decision.choice.route, Route::kFlashInferTensorCore);
    EXPECT_THAT(decision.reason, HasSubstr(said));
    EXPECT_THAT(verdict(decision, Route::kWorkqueue).ruled_out_by, HasSubstr(said));
    EXPECT_EQ(verdict(decision, Route::kFlashInferTensorCore).ruled_out_by, "");
  };
  for (const int num_kv_heads : {32, 16, 4, 1}) {
    input.step.shape = {32, num_kv_heads, 128};
    expect_safe(("num_q_heads / num_kv_heads is " + std::to_string(32 / num_kv_heads) + ", must be one of 4").c_str());
  }
  input.step.shape = {32, 8, 64};
  expect_safe("head_dim is 64, must be one of 128");
  input.step.shape = {32, 8, 128};
  input.dtype = DType::kBF16;
  expect_safe("dtype is bf16, must be one of fp16");
}

TEST_F(RouterTest, RunsSplitsGoBeforeTheProfilesAndTheRule) {
  const std::vector<std::int32_t> one = {32768};
  PolicyInput input;
  input.step.lengths = one;
  EXPECT_EQ(paper_.choose(input), (Choice{Route::kSequenceSplit, 0}));
  EXPECT_EQ(timed_.choose(input), (Choice{Route::kSequenceSplit, 32}));
  input.options.splits = 28;
  EXPECT_EQ(paper_.choose(input), (Choice{Route::kSequenceSplit, 28}));
  EXPECT_EQ(timed_.choose(input), (Choice{Route::kSequenceSplit, 28}));
  EXPECT_EQ(verdict(timed_.explain(input), Route::kSequenceSplit).estimate.splits, 28);
  input.step.shape.num_kv_heads = 32;
  EXPECT_EQ(timed_.choose(input), (Choice{Route::kFlashInferTensorCore, 0}));  // it decides for itself
}

TEST_F(RouterTest, ExplanationNamesRuleAndNumbers) {
  const std::vector<std::int32_t> lengths = {2048, 16383, 100};
  PolicyInput input;
  input.step.lengths = lengths;
  const Decision decision = paper_.explain(input);
  EXPECT_EQ(decision.profile, "rtx3060-paper");
  EXPECT_EQ(verdict(decision, Route::kSequenceSplit).ruled_out_by,
            "16K gate: longest_row_tokens is 16383, must be at least 16384");
  EXPECT_EQ(verdict(decision, Route::kStream).ruled_out_by, "not a candidate of this profile");
  EXPECT_EQ(decision.reason, "the only candidate that the gates leave");

  const std::vector<std::int32_t> two = {16384, 16384};
  input.step.lengths = two;
  EXPECT_EQ(verdict(paper_.explain(input), Route::kSequenceSplit).ruled_out_by,
            "one row only: active_rows is 2, must be at most 1");
  EXPECT_EQ(verdict(paper_.explain(input), Route::kWorkqueue).ruled_out_by,
            "eight rows or more: active_rows is 2, must be at least 8");
}

TEST_F(RouterTest, TextNamesEveryRouteOnceAndMarksTheChoice) {
  const std::vector<std::int32_t> lengths = rows(8, 32768);
  PolicyInput input;
  input.step.lengths = lengths;
  const std::string text = describe(paper_.explain(input));
  EXPECT_THAT(text, HasSubstr("workqueue: the smallest estimate, 3413.5 us (flashinfer-tensor-core 5941.8)"));
  EXPECT_THAT(text, HasSubstr("\n* workqueue "));
  for (const Route route : kRunnableRoutes) EXPECT_THAT(text, HasSubstr(" " + std::string(to_string(route)) + " "));
}

TEST_F(RouterTest, NoCandidateLeftMeansTheSafeRoute) {
  DeviceProfile profile = paper_.profile();
  profile.gates.push_back({"never", {Route::kFlashInferTensorCore}, StepQuantity::kKvTokens, 1 << 20, std::nullopt});
  const Router router(profile);
  const std::vector<std::int32_t> lengths = {100};
  PolicyInput input;
  input.step.lengths = lengths;
  EXPECT_EQ(router.choose(input).route, Route::kFlashInferTensorCore);
  EXPECT_EQ(router.explain(input).reason, "the safe route: the gates rule out every candidate");
}

TEST_F(RouterTest, AmongEqualsTheFirstCandidateWins) {
  DeviceProfile profile = paper_.profile();
  profile.gates.clear();
  profile.candidates = {{Route::kFlashInferCudaCore, 0}, {Route::kFlashInferTensorCore, 0}};
  const std::vector<std::int32_t> lengths = {100, 200};
  EXPECT_EQ(route(Router(profile), lengths), Route::kFlashInferCudaCore);
  std::swap(profile.candidates[0], profile.candidates[1]);
  EXPECT_EQ(route(Router(profile), lengths), Route::kFlashInferTensorCore);
}

// Every route a candidate, on random steps: the choice is the smallest estimate that no gate rules out, and explain()
// and choose() never differ.
TEST_F(RouterTest, ChoiceIsTheSmallestStandingEstimate) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  DeviceProfile profile = paper_.profile();
  for (const Route route : kRunnableRoutes)
    if (profile.candidate(route) == nullptr) profile.candidates.push_back({route, 0});
  profile.gates.push_back(
      {"middling steps only", {Route::kStream, Route::kPaddedBucket}, StepQuantity::kKvTokens, 20000, 60000});
  const Router router(profile);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::int32_t> lengths(random() % 20);
    for (std::int32_t& length : lengths) length = static_cast<std::int32_t>(random() % (2u << random() % 17)) - 1;
    PolicyInput input;
    input.step.lengths = lengths;
    const Decision decision = router.explain(input);
    EXPECT_EQ(decision.choice, router.choose(input));
    ASSERT_EQ(decision.routes.size(), kRunnableRoutes.size());
    double smallest = 1e300;
    for (const RouteVerdict& v : decision.routes)
      if (v.ruled_out_by.empty()) smallest = std::min(smallest, v.estimate.total_us);
    for (const RouteVerdict& v : decision.routes) {
      EXPECT_EQ(v.chosen, v.route == decision.choice.route);
      if (!v.chosen) continue;
      EXPECT_EQ(v.ruled_out_by, "");
      EXPECT_EQ(v.estimate.total_us, smallest);
    }
  }
}

TEST_F(RouterTest, RefusesAnInvalidProfile) {
  DeviceProfile profile = paper_.profile();
  profile.cost.bandwidth_gb_per_s = 0;
  EXPECT_THROW(Router{profile}, InvalidArgument);
}

}  // namespace
}  // namespace pkv
