// Profiles with fits: as JSON, and as the router asks them.
#include "allocations.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/policy/profile_io.hpp"
#include "persistentkv/policy/router.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace pkv {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

RouteFit fit_of(int group_size, std::initializer_list<std::pair<CostTerm, double>> us, double error = 0.01) {
  RouteFit fit;
  fit.group_size = group_size;
  for (const auto& [term, value] : us) at(fit.us, term) = value;
  fit.error = {20, error, error / 2, error * 3};
  return fit;
}

/// stream: 10 us and 0.25 a MiB; the workqueue in 16 splits: 4 us and 0.35, for G = 4 only.
DeviceProfile fitted() {
  DeviceProfile profile;
  profile.name = "fitted";
  profile.device_name = "A GPU";
  profile.num_sms = 100;
  profile.group_sizes = {4, 8};
  profile.head_dims = {128};
  profile.dtypes = {DType::kF16};
  profile.cost = {TimeUnits::kSi, 4000, 1, 1.5};
  profile.safe_route = Route::kStream;
  profile.candidates = {
      {Route::kStream,
       0,
       {fit_of(4, {{CostTerm::kConstant, 10}, {CostTerm::kKvMib, 0.25}}), fit_of(8, {{CostTerm::kConstant, 11}})},
       PlanFit{0, 0, 0}},
      {Route::kWorkqueue, 16, {fit_of(4, {{CostTerm::kConstant, 4}, {CostTerm::kKvMib, 0.35}})}, PlanFit{32, 0, 0}},
      {Route::kWorkqueue, 0, {fit_of(4, {{CostTerm::kConstant, 40}})}, PlanFit{0, 0, 0}},
  };
  profile.measured = MeasuredOverheads{4000, 1.5, 3, 2.5};
  return profile;
}

/// One row of so many MiB of K and V at 4 KiB a token.
Ruling rule(const DeviceProfile& profile, int mib, int layers = 32, int kv_heads = 8) {
  const std::vector<std::int32_t> lengths = {mib * 256 * 8 / kv_heads};
  PolicyInput input;
  input.step = {{.num_q_heads = 32, .num_kv_heads = kv_heads, .head_dim = 128}, lengths, {}};
  input.layers_per_plan = layers;
  return Router(profile).rule(input);
}

std::string error_of(const std::string& from, const std::string& to) {
  std::string json = profile_to_json(fitted());
  const std::size_t at = json.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  try {
    (void)parse_profile(json.replace(at, from.size(), to), "p.json");
  } catch (const IoError& error) {
    return error.what();
  }
  return "no error";
}

TEST(FittedProfile, RoundTrips) {
  DeviceProfile profile = fitted();
  profile.margin = 0.015;
  profile.caution = 2;
  EXPECT_EQ(parse_profile(profile_to_json(profile), "p.json"), profile);
}

TEST(FittedProfile, WithoutFitsNothingOfThemIsWritten) {
  const std::string json = profile_to_json(find_profile("rtx3060-paper"));
  for (const char* key : {"fits", "plan", "margin", "caution", "measured\""})
    EXPECT_EQ(json.find(key), std::string::npos);
}

TEST(FittedProfile, RefusesWhatItCannotUse) {
  EXPECT_THAT(error_of("\"kv_mib\": 0.25", "\"kv_mib\": -0.25"),
              HasSubstr("candidates[0].fits[0].us.kv_mib is -0.25, must be in [0, "));
  EXPECT_THAT(error_of("\"kv_mib\"", "\"kv_gib\""), HasSubstr("kv_gib is unknown, must be one of constant, "));
  EXPECT_THAT(error_of("\"resident_ctas_per_sm\": 1.0", "\"resident_ctas_per_sm\": 0"),
              HasSubstr("resident_ctas_per_sm is 0, must be above 0"));
  EXPECT_THAT(error_of("\"group_size\": 8", "\"group_size\": 16"), HasSubstr("fits[1].group_size is not among"));
  EXPECT_THAT(error_of("\"group_size\": 8", "\"group_size\": 4"), HasSubstr("fits[1] is there already"));
  EXPECT_THAT(error_of("\"step_us\": 32.0", "\"step_us\": \"x\""), HasSubstr("step_us is string, must be a number"));
  EXPECT_THAT(error_of("\"splits\": 16,", ""), HasSubstr("candidates[2] is there already"));
  EXPECT_THAT(error_of("\"gates\": []", "\"gates\": [], \"margin\": 1.5"),
              HasSubstr("margin is 1.5, must be in [0, 1]"));
  EXPECT_THAT(error_of("\"gates\": []", "\"gates\": [], \"caution\": -1"), StartsWith("p.json:"));
  DeviceProfile half = fitted();
  half.candidates[1].fits.clear();
  half.candidates[1].plan.reset();
  EXPECT_THROW(half.validate(), InvalidArgument);
}

TEST(FittedRouter, TakesTheSmallestSum) {
  // 40 MiB: 20 us against 18 and a thirty-second of 32 us of planning.
  EXPECT_EQ(rule(fitted(), 40).choice, (Choice{Route::kWorkqueue, 16}));
  EXPECT_NEAR(rule(fitted(), 40).estimate_us.value(), 19, 1e-9);
  EXPECT_EQ(rule(fitted(), 40, 8).choice, (Choice{Route::kStream, 0}));      // 18 + 4
  EXPECT_EQ(rule(fitted(), 40, 0).choice, (Choice{Route::kWorkqueue, 16}));  // planning is not counted
  EXPECT_EQ(rule(fitted(), 80).choice, (Choice{Route::kStream, 0}));         // 30 against 33
  EXPECT_EQ(rule(fitted(), 1000).choice, (Choice{Route::kWorkqueue, 0}));    // 40, whatever it reads
}

TEST(FittedRouter, KeepsToTheSafeRouteWithinTheMargin) {
  DeviceProfile profile = fitted();
  profile.margin = 0.04;  // 19 is 5 % below 20
  EXPECT_EQ(rule(profile, 40).choice.route, Route::kWorkqueue);
  profile.margin = 0.06;
  EXPECT_EQ(rule(profile, 40).choice.route, Route::kStream);
  EXPECT_EQ(rule(profile, 40).grounds, Grounds::kEstimate);
}

TEST(FittedRouter, AMarginOfAllSettlesAShapeUnlessAGateSpeaksOfIt) {
  const std::vector<std::int32_t> lengths = {1000};
  PolicyInput input;
  input.step = {{.num_q_heads = 32, .num_kv_heads = 8, .head_dim = 128}, lengths, {}};
  DeviceProfile profile = fitted();
  profile.margin = 0.99;
  EXPECT_EQ(Router(profile).settled(input), std::nullopt);
  profile.margin = 1;
  EXPECT_EQ(rule(profile, 40).choice.route, Route::kStream);
  EXPECT_EQ(Router(profile).settled(input), (Choice{Route::kStream, 0}));
  EXPECT_EQ(Router(profile).settled(input, {{Route::kWorkqueue}, {}}), std::nullopt);
  input.step.shape.num_kv_heads = 16;  // no fit
  EXPECT_EQ(Router(profile).settled(input), std::nullopt);
  input.step.shape.num_kv_heads = 8;
  profile.gates = {{"few rows", {Route::kWorkqueue}, StepQuantity::kActiveRows, 2, std::nullopt}};
  EXPECT_EQ(Router(profile).settled(input), (Choice{Route::kStream, 0}));
  profile.gates[0].routes = {Route::kStream};
  EXPECT_EQ(Router(profile).settled(input), std::nullopt);
  input.options.tile_tokens = 0;
  EXPECT_THROW((void)Router(profile).settled(input), InvalidArgument);
}

TEST(FittedRouter, IsWaryOfFitsWithLargeErrors) {
  DeviceProfile profile = fitted();
  profile.candidates[1].fits[0].error.mean = 0.06;
  EXPECT_EQ(rule(profile, 40).choice.route, Route::kWorkqueue);  // no caution
  profile.caution = 1;                                           // 19 * 1.06 against 20 * 1.01
  EXPECT_EQ(rule(profile, 40).choice.route, Route::kWorkqueue);
  profile.caution = 2;  // 19 * 1.12 against 20 * 1.02
  EXPECT_EQ(rule(profile, 40).choice.route, Route::kStream);
  EXPECT_NEAR(rule(profile, 40).estimate_us.value(), 20, 1e-9);  // what it says is the estimate itself
}

TEST(FittedRouter, ShapesWithoutAFitAreNotItsCandidates) {
  EXPECT_EQ(rule(fitted(), 40, 32, 4).choice.route, Route::kStream);  // G = 8: the others have no fit
  EXPECT_EQ(rule(fitted(), 40, 32, 4).grounds, Grounds::kEstimate);
  EXPECT_EQ(rule(fitted(), 40, 32, 2).grounds, Grounds::kNotCovered);
  DeviceProfile profile = fitted();
  for (RouteCandidate& candidate : profile.candidates) candidate.fits.resize(1);  // G = 8 is listed, but nobody's
  EXPECT_EQ(rule(profile, 40, 32, 4).grounds, Grounds::kNotCovered);
  const std::vector<std::int32_t> lengths = {1000};
  PolicyInput input;
  input.step = {{.num_q_heads = 32, .num_kv_heads = 4, .head_dim = 128}, lengths, {}};
  EXPECT_THAT(Router(profile).explain(input).reason, HasSubstr("no fit for group size 8, head_dim 128 and fp16"));
}

TEST(FittedRouter, ExplainsTermByTerm) {
  const std::vector<std::int32_t> lengths = {40 * 256};
  PolicyInput input;
  input.step = {{.num_q_heads = 32, .num_kv_heads = 8, .head_dim = 128}, lengths, {}};
  const Decision decision = Router(fitted()).explain(input);
  ASSERT_GE(decision.routes.size(), 3u);
  EXPECT_FALSE(decision.routes[0].chosen);
  EXPECT_TRUE(decision.routes[1].chosen);
  EXPECT_FALSE(decision.routes[2].chosen);  // the same route in other splits
  EXPECT_EQ(decision.routes[1].splits, 16);
  const CostEstimate& estimate = decision.routes[1].estimate;
  EXPECT_NEAR(at(estimate.terms_us, CostTerm::kKvMib), 14, 1e-9);
  EXPECT_NEAR(estimate.plan_us, 1, 1e-9);
  EXPECT_NEAR(estimate.total_us, 19, 1e-9);
  const std::string text = describe(decision);
  for (const char* part : {"workqueue/16", "kv_mib", "14.00", "plan"}) EXPECT_THAT(text, HasSubstr(part));
}

// Every route a candidate, each with every term: an upper bound on what a choice may ask.
TEST(FittedRouter, ChoosesWithoutAllocating) {
  DeviceProfile profile = fitted();
  profile.candidates.clear();
  RouteFit all = fit_of(4, {});
  all.us.fill(0.1);
  for (const Route route : kRunnableRoutes) profile.candidates.push_back({route, 0, {all}, PlanFit{1, 1, 1}});
  const Router router(profile);
  std::mt19937 random(std::random_device{}());
  for (const std::size_t batch : {1, 8, 64, 512}) {
    std::vector<std::int32_t> lengths(batch);
    for (std::int32_t& length : lengths) length = static_cast<std::int32_t>(random() % 32768);
    PolicyInput input;
    input.step.lengths = lengths;
    const long before = testing_support::allocations();
    (void)router.choose(input);
    EXPECT_EQ(testing_support::allocations(), before) << batch;
  }
}

// What the fits' features are, against plans as they are made.
TEST(StepFeatures, TasksAndMergesAreThoseOfPlans) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 100; ++round) {
    std::vector<std::int32_t> lengths(random() % 12 + 1);
    for (std::int32_t& length : lengths) length = static_cast<std::int32_t>(random() % 60000);
    PolicyInput input;
    input.step = {{.num_q_heads = 32, .num_kv_heads = 8, .head_dim = 128}, lengths, {}};
    for (const Route route : {Route::kWorkqueue, Route::kWorkqueueFused, Route::kPaddedBucket, Route::kSequenceSplit,
                              Route::kExactBuckets, Route::kCoarseBuckets}) {
      const StepFeatures features = step_features(100, 2, route, 0, input, summarize(input));
      const WorkPlan plan = make_plan(schedule_of(route).value(), input.step, input.options);
      if (summarize(input).active_rows == 0) continue;
      EXPECT_EQ(features.tasks, static_cast<double>(plan.counters().decode_ctas)) << to_string(route);
      EXPECT_EQ(at(features.terms, CostTerm::kExtraLaunch), static_cast<double>(plan.counters().launches - 1))
          << to_string(route);
      std::int64_t longest = 0;
      for (const Segment& segment : plan.segments())
        longest = std::max(longest, plan.token_end(segment) - plan.token_begin(segment));
      if (route == Route::kExactBuckets || route == Route::kCoarseBuckets) continue;  // a tail for each launch
      EXPECT_NEAR(at(features.terms, CostTerm::kTailKtokens) * 1e3, static_cast<double>(longest), 32 + longest * 0.3)
          << to_string(route);
      if (route == Route::kWorkqueue || route == Route::kWorkqueueFused) {
        EXPECT_NEAR(at(features.terms, CostTerm::kMergeMib) * (1 << 20),
                    static_cast<double>(plan.counters().merge_bytes), 1);
      }
    }
  }
}

// FlashInfer's rule, by trying every chunk.
TEST(StepFeatures, FlashInferCutsIntoTheSmallestChunksThatFit) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 100; ++round) {
    std::vector<std::int32_t> lengths(random() % 40 + 1);
    for (std::int32_t& length : lengths) length = static_cast<std::int32_t>(random() % 30000) + 1;
    PolicyInput input;
    input.step = {{.num_q_heads = 32, .num_kv_heads = 8, .head_dim = 128}, lengths, {}};
    const StepSummary step = summarize(input);
    const int row_slots = 132 * 2 / 8;
    std::int64_t smallest = step.longest_row_tokens;
    if (static_cast<int>(lengths.size()) < row_slots) {
      for (std::int64_t chunk = 128; chunk < smallest; ++chunk) {
        std::int64_t chunks = 0;
        for (const std::int32_t tokens : lengths) chunks += (tokens + chunk - 1) / chunk;
        if (chunks <= row_slots) smallest = chunk;
      }
    }
    const double found =
        at(step_features(132, 2, Route::kFlashInferTensorCore, 0, input, step).terms, CostTerm::kTailKtokens) * 1e3;
    EXPECT_GE(found, static_cast<double>(smallest) - 1);
    EXPECT_LE(found, static_cast<double>(smallest) + step.longest_row_tokens / 100.0 + 1);
  }
}

TEST(CostTerms, NamesRoundTrip) {
  for (const CostTerm term : kAllCostTerms) EXPECT_EQ(parse_cost_term(to_string(term)), term);
  EXPECT_THROW((void)parse_cost_term("kv_gib"), InvalidArgument);
}

}  // namespace
}  // namespace pkv
