#include "fit/fit_profile.hpp"

#include "made_up_times.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/policy/profile_io.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace pkv::fit {
namespace {

using testing_support::made_up_device;
using testing_support::make_samples;
using testing_support::pointers;
using testing_support::random_lengths;
using testing_support::terms;
using testing_support::true_us;
using testing_support::TrueCost;

constexpr int kSms = 100;
const AttentionShape kShape{.num_q_heads = 32, .num_kv_heads = 8, .head_dim = 128};

TrueCost stream() {
  return {{Route::kStream},
          1,
          terms({{CostTerm::kConstant, 7}, {CostTerm::kKvMib, 0.24}, {CostTerm::kTasksPerSlot, 0.5}}),
          {2, 0.01, 0}};
}
/// Quicker than stream where rows are long and few, and slower where one is longer than the rest.
TrueCost workqueue() {
  return {{Route::kWorkqueue},
          4,
          terms({{CostTerm::kConstant, 5},
                 {CostTerm::kKvMib, 0.235},
                 {CostTerm::kTailKtokens, 4},
                 {CostTerm::kMergeMib, 2},
                 {CostTerm::kIdleKtokens, 6}}),
          {20, 0.5, 0.01}};
}

class Fit : public ::testing::Test {
 protected:
  static DeviceProfile facts() { return made_up_device(kSms); }

  std::uint32_t seed_ = std::random_device{}();
  ::testing::ScopedTrace trace_{__FILE__, __LINE__, seed_};
  std::mt19937 random_{seed_};
};

TEST_F(Fit, RecoversWhatMadeTheTimes) {
  for (const TrueCost& cost : {stream(), workqueue()}) {
    const std::vector<StepSample> samples = make_samples(random_, 80, kShape, kSms, {cost}, 0);
    const FittedRoute fitted = fit_route(pointers(samples), cost.choice, {.num_sms = kSms});
    EXPECT_LT(fitted.fit.error.max, 2e-3);
    for (const CostTerm term : {CostTerm::kKvMib, CostTerm::kConstant})
      EXPECT_NEAR(at(fitted.fit.us, term), at(cost.us, term), 0.02 * at(cost.us, term)) << to_string(term);
    EXPECT_EQ(fitted.fit.group_size, 4);
    EXPECT_EQ(fitted.fit.error.steps, 80);
  }
}

TEST_F(Fit, NoiseBecomesTheErrorAndNoMore) {
  const std::vector<StepSample> samples = make_samples(random_, 120, kShape, kSms, {workqueue()}, 0.02);
  const FittedRoute fitted = fit_route(pointers(samples), workqueue().choice, {.num_sms = kSms});
  EXPECT_LT(fitted.fit.error.mean, 0.02);
  std::vector<StepSample> fresh = make_samples(random_, 50, kShape, kSms, {}, 0);
  double sum = 0;
  for (const StepSample& sample : fresh) {
    const PolicyInput input = sample.input(0);
    const StepFeatures f =
        step_features(kSms, fitted.fit.resident_ctas_per_sm, Route::kWorkqueue, 0, input, summarize(input));
    double us = 0;
    for (std::size_t i = 0; i < kNumCostTerms; ++i) us += f.terms[i] * fitted.fit.us[i];
    sum += std::abs(us / true_us(workqueue(), sample, kSms) - 1);
  }
  EXPECT_LT(sum / 50, 0.02);  // of steps that it never saw, against the truth
}

// A time that no step of its kind agrees with is predicted by the fit that has not seen it.
TEST_F(Fit, CrossValidationDoesNotSeeWhatItPredicts) {
  std::vector<StepSample> samples = make_samples(random_, 60, kShape, kSms, {stream()}, 0);
  for (double& us : samples[7].routes[0].time_us) us *= 3;
  const FittedRoute fitted = fit_route(pointers(samples), stream().choice, {.num_sms = kSms});
  EXPECT_GT(fitted.fit.error.max, 0.4);
  EXPECT_LT(fitted.fit.error.median, 0.1);
}

TEST_F(Fit, PlanningIsFittedApart) {
  const std::vector<StepSample> samples = make_samples(random_, 60, kShape, kSms, {workqueue()}, 0);
  const PlanFit plan = fit_plan(samples, workqueue().choice, {.num_sms = kSms});
  EXPECT_NEAR(plan.step_us, 20, 0.1);
  EXPECT_NEAR(plan.row_us, 0.5, 0.01);
  EXPECT_NEAR(plan.task_us, 0.01, 0.001);
}

TEST_F(Fit, TooFewSamplesAreRefused) {
  const std::vector<StepSample> samples = make_samples(random_, kLeastFitSamples - 1, kShape, kSms, {stream()}, 0);
  EXPECT_THROW((void)fit_route(pointers(samples), stream().choice, {.num_sms = kSms}), InvalidArgument);
  EXPECT_THROW((void)fit_profile(facts(), samples, std::vector{stream().choice}), InvalidArgument);
}

TEST_F(Fit, ProfileChoosesAsTheTruthWould) {
  const std::vector<TrueCost> costs = {workqueue(), stream()};
  const std::vector<StepSample> samples = make_samples(random_, 120, kShape, kSms, costs, 0.005);
  const FittedProfile fitted = fit_profile(facts(), samples, std::vector{costs[0].choice, costs[1].choice});
  EXPECT_EQ(fitted.profile.group_sizes, std::vector{4});
  EXPECT_LE(fitted.regret.policy, fitted.regret.safe_route);
  EXPECT_LE(fitted.regret.policy, fitted.regret.no_margin + 1e-3);
  EXPECT_LT(fitted.regret.policy, 1.02);
  EXPECT_EQ(fitted.profile.candidates.front().route, fitted.profile.safe_route);

  // What is larger than any sample is the safe route's.
  ASSERT_EQ(fitted.profile.gates.size(), 1u);
  EXPECT_EQ(fitted.profile.gates.front().quantity, StepQuantity::kKvMib);
  EXPECT_FALSE(fitted.profile.gates.front().applies_to(fitted.profile.safe_route));
  std::int64_t largest = 0;
  for (const StepSample& sample : samples)
    largest = std::max(largest, static_cast<std::int64_t>(summarize(sample.input(32)).kv_mib));
  EXPECT_EQ(fitted.profile.gates.front().max, largest);

  const Router router(parse_profile(profile_to_json(fitted.profile), "made-up.json"));
  double ratios = 0;
  for (const StepSample& sample : make_samples(random_, 200, kShape, kSms, costs, 0)) {
    const Ruling ruling = router.rule(sample.input(32));
    EXPECT_EQ(ruling.grounds, Grounds::kEstimate);  // the safe route always stands for choice
    double best = 1e300, chosen = 0;
    for (const RouteTimes& times : sample.routes) {
      const double us = cost_us(times.time_us, times.plan_us, 32);
      best = std::min(best, us);
      if (times.choice == ruling.choice) chosen = us;
    }
    EXPECT_NEAR(ruling.estimate_us.value(), chosen, 0.1 * chosen);
    ratios += chosen / best;
  }
  EXPECT_LT(ratios / 200, 1.01);
}

// Where the routes are the same but for noise, the margin keeps the policy from following it.
TEST_F(Fit, TheSafeRouteRunsEverything) {
  const AttentionShape wide{.num_q_heads = 32, .num_kv_heads = 2, .head_dim = 128};
  std::vector<StepSample> samples = make_samples(random_, 40, kShape, kSms, {workqueue(), stream()}, 0.01);
  for (StepSample& sample : make_samples(random_, 40, wide, kSms, {stream()}, 0.01)) samples.push_back(sample);
  const FittedProfile fitted =
      fit_profile(facts(), samples, std::vector{workqueue().choice, stream().choice, Choice{Route::kPaddedBucket}});
  EXPECT_EQ(fitted.profile.safe_route, Route::kStream);
  ASSERT_EQ(fitted.profile.candidates.size(), 2u);  // nobody timed the padded bucket
  EXPECT_EQ(fitted.profile.candidates[0].fits.size(), 2u);
  EXPECT_EQ(fitted.profile.candidates[1].fits.size(), 1u);  // the workqueue does not run G = 16
  const Router router(fitted.profile);
  PolicyInput input;
  const std::vector<std::int32_t> lengths = {3000, 40000};
  input.step = {wide, lengths, {}};
  EXPECT_EQ(router.rule(input).choice.route, Route::kStream);
  EXPECT_EQ(router.rule(input).grounds, Grounds::kEstimate);
}

}  // namespace
}  // namespace pkv::fit
