#include "fit/regret.hpp"

#include "persistentkv/core/error.hpp"
#include "persistentkv/policy/profile_io.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace pkv::fit {
namespace {

/// A profile that always takes `workqueue` of the two candidates: constants, which a gate puts above all.
Router always(Route route) {
  DeviceProfile profile = find_profile("rtx3060-paper");
  profile.candidates = {{route}};
  profile.safe_route = route;
  profile.gates.clear();
  return Router(std::move(profile));
}

StepSample step(std::vector<RouteTimes> routes) {
  StepSample sample;
  sample.workload = "made up";
  sample.lengths = {1000, 2000};
  sample.routes = std::move(routes);
  return sample;
}

const Regret& constant(const RegretTable& table, const std::string& name) {
  return *std::find_if(table.constants.begin(), table.constants.end(), [&](const Regret& r) { return r.name == name; });
}

// Even repetitions say stream is best (10 against 11), odd ones that the workqueue is (20 against 22).
TEST(Regret, BestOfOneHalfIsScoredOnTheOther) {
  const StepSample sample = step({{{Route::kStream}, 0, {10, 22, 10, 22}}, {{Route::kWorkqueue}, 0, {11, 20, 11, 20}}});
  const RegretReport report = regret_of(always(Route::kWorkqueue), std::vector{sample});
  EXPECT_EQ(report.steps, 1);
  // Scored on odd: best by even is stream, 22; workqueue has 20. Scored on even: best by odd is workqueue, 11, itself.
  EXPECT_DOUBLE_EQ(report.all.policy.mean_ratio, (20.0 / 22.0 + 1.0) / 2);
  EXPECT_DOUBLE_EQ(report.all.policy.mean_us, (-2.0 + 0.0) / 2);
  EXPECT_DOUBLE_EQ(constant(report.all, "stream").mean_ratio, (1.0 + 10.0 / 11.0) / 2);
  EXPECT_DOUBLE_EQ(constant(report.all, "workqueue").mean_ratio, report.all.policy.mean_ratio);
}

TEST(Regret, MeanAndWorstOverSteps) {
  const std::vector samples{
      step({{{Route::kStream}, 0, {10, 10}}, {{Route::kWorkqueue}, 0, {15, 15}}}),    // 1.5, 5 us
      step({{{Route::kStream}, 0, {100, 100}}, {{Route::kWorkqueue}, 0, {90, 90}}}),  // best itself
      step({{{Route::kStream}, 0, {4, 4}}, {{Route::kWorkqueue}, 0, {4.4, 4.4}}}),    // 1.1, but 0.4 us only
  };
  const Regret regret = regret_of(always(Route::kWorkqueue), samples).all.policy;
  EXPECT_EQ(regret.steps, 3);
  EXPECT_DOUBLE_EQ(regret.mean_ratio, (1.5 + 1.0 + 1.1) / 3);
  EXPECT_DOUBLE_EQ(regret.max_ratio, 1.5);
  EXPECT_NEAR(regret.mean_us, 5.4 / 3, 1e-12);
  EXPECT_DOUBLE_EQ(regret.max_us, 5);
  EXPECT_EQ(regret.steps_over, 1);
  EXPECT_EQ(regret.max_step, "made up B2");
}

TEST(Regret, MediansNotMeansOfAHalf) {
  const StepSample sample =
      step({{{Route::kStream}, 0, {10, 10, 11, 11, 500, 500}}, {{Route::kWorkqueue}, 0, {12, 12, 12, 12, 12, 12}}});
  EXPECT_DOUBLE_EQ(regret_of(always(Route::kWorkqueue), std::vector{sample}).all.policy.mean_ratio, 12.0 / 11);
}

TEST(Regret, PlanningIsSharedAmongLayers) {
  const StepSample sample = step({{{Route::kStream}, 0, {10, 10}}, {{Route::kWorkqueue}, 64, {9, 9}}});
  const auto ratio = [&](int layers) {
    return regret_of(always(Route::kWorkqueue), std::vector{sample}, {.layers_per_plan = layers}).all.policy.mean_ratio;
  };
  EXPECT_DOUBLE_EQ(ratio(32), 11.0 / 10);
  EXPECT_DOUBLE_EQ(ratio(0), 1);  // planning is not counted: the workqueue is best
}

TEST(Regret, WithoutStreamItIsNeitherChosenNorBest) {
  const std::vector samples{step(
      {{{Route::kStream}, 0, {10, 10}}, {{Route::kWorkqueue}, 0, {15, 15}}, {{Route::kPaddedBucket}, 0, {12, 12}}})};
  const RegretReport report = regret_of(always(Route::kStream), samples);
  EXPECT_EQ(report.all.policy.mean_ratio, 1);
  ASSERT_TRUE(report.without_stream.has_value());
  // The profile has nothing but stream: without it, the safe route's stand-in, workqueue, against the padded bucket.
  EXPECT_DOUBLE_EQ(report.without_stream->policy.mean_ratio, 15.0 / 12);
  EXPECT_EQ(report.without_stream->constants.front().name, "padded-bucket");
  EXPECT_EQ(report.without_stream->constants.size(), 2u);
}

TEST(Regret, RoutesThatDoNotRunAreLeftOutOfTheStep) {
  const std::vector samples{
      step({{{Route::kStream}, 0, {10, 10}}, {{Route::kWorkqueue, 24}, 0, {}}}),
      step({{{Route::kStream}, 0, {10, 10}}, {{Route::kWorkqueue, 24}, 0, {20, 20}}}),
  };
  const RegretReport report = regret_of(always(Route::kStream), samples);
  EXPECT_EQ(report.steps, 2);
  EXPECT_EQ(constant(report.all, "workqueue/24").steps, 1);
  EXPECT_FALSE(regret_of(always(Route::kStream), std::vector{samples.front()}).without_stream.has_value());
}

TEST(Regret, NeedsTwoRepetitions) {
  EXPECT_THROW((void)regret_of(always(Route::kStream), {}), InvalidArgument);
  EXPECT_THROW((void)regret_of(always(Route::kStream), std::vector{step({{{Route::kStream}, 0, {10}}})}),
               InvalidArgument);
}

}  // namespace
}  // namespace pkv::fit
