// What the runtime chooses: what the router would, of what there is.

#include "persistentkv/cpu/cpu_backend.hpp"
#include "persistentkv/policy/profile_io.hpp"
#include "runtime/fake_backend.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace pkv {
namespace {

using testing::HasSubstr;
using testing_support::fake;
using testing_support::FakeStep;

DeviceProfile paper() { return find_profile("rtx3060-paper"); }

std::vector<std::int32_t> rows(std::size_t count, std::int32_t tokens) {
  return std::vector<std::int32_t>(count, tokens);
}

/// The paper's, with every schedule of ours as a candidate and none of FlashInfer's.
DeviceProfile all_of_ours() {
  DeviceProfile profile = paper();
  profile.candidates.clear();
  for (const Schedule schedule : kAllSchedules)
    profile.candidates.push_back({route_of(schedule), schedule == Schedule::kSequenceSplit ? 32 : 0});
  profile.safe_route = Route::kWorkqueue;
  profile.gates = {{"long rows", {Route::kStream, Route::kWorkqueueFused}, StepQuantity::kKvTokens, 50000, {}}};
  return profile;
}

TEST(RuntimeChoice, IsTheRoutersWhereABackendHasEveryCandidate) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  const Router router(all_of_ours());
  const auto backend = fake();
  Runtime runtime(all_of_ours(), {backend});
  Runtime on_cpu(all_of_ours(), {make_cpu_backend()});
  for (int round = 0; round < 200; ++round) {
    std::vector<std::int32_t> lengths(random() % 20);
    for (std::int32_t& length : lengths) length = static_cast<std::int32_t>(random() % (2U << random() % 16));
    const FakeStep given(lengths);
    const std::vector<std::int32_t> capacities = rows(lengths.size(), 16 << 13);
    PolicyInput input;
    input.step.lengths = lengths;
    input.step.capacity_tokens = capacities;
    const Decision expected = router.explain(input);

    const RuntimeStep step = runtime.prepare(given.step);
    const RuntimeDecision& decision = step.decision();
    ASSERT_EQ((Choice{decision.route, decision.splits}), expected.choice);
    EXPECT_EQ(route_of(backend->asked.back().schedule), expected.choice.route);
    EXPECT_EQ(backend->asked.back().options.splits, expected.choice.splits);
    EXPECT_EQ(decision.grounds, Grounds::kEstimate);
    for (const RouteVerdict& v : expected.routes) EXPECT_TRUE(!v.chosen || decision.estimate_us == v.estimate.total_us);
    EXPECT_EQ(describe(step.explain()).substr(0, 500), describe(runtime.explain(given.step)).substr(0, 500));
    EXPECT_EQ(step.explain().reason.substr(0, 30), expected.reason.substr(0, 30));
    EXPECT_EQ(on_cpu.choose(given.step).route, expected.choice.route);
  }
}

TEST(RuntimeChoice, CandidatesWithoutABackendAreRuledOut) {
  const Runtime runtime(paper(), {fake("a", {Schedule::kWorkqueue, Schedule::kSequenceSplit, Schedule::kStream})});
  const FakeStep many(rows(14, 32768));  // FlashInfer's by the estimate, had it a backend
  EXPECT_EQ(runtime.choose(many.step).route, Route::kWorkqueue);
  const Decision decision = runtime.explain(many.step);
  EXPECT_EQ(decision.routes.front().route, Route::kFlashInferTensorCore);
  EXPECT_EQ(decision.routes.front().ruled_out_by,
            "no backend has it: a: has no such route, but workqueue, sequence-split, stream");
  const FakeStep few(rows(4, 32768));  // FlashInfer's by its gates
  EXPECT_EQ(runtime.choose(few.step).route, Route::kStream);
  EXPECT_EQ(runtime.choose(few.step).grounds, Grounds::kNoCandidateLeft);
}

TEST(RuntimeChoice, NoProfileMeansTheSafeRoute) {
  const FakeStep given(rows(8, 32768));
  const auto route = [&](std::vector<Schedule> schedules, std::optional<Route> safe = std::nullopt) {
    const Runtime runtime(std::nullopt, {fake("a", std::move(schedules))}, {.safe_route = safe});
    EXPECT_EQ(runtime.profile(), nullptr);
    const RuntimeDecision decision = runtime.choose(given.step);
    EXPECT_EQ(decision.grounds, Grounds::kNoProfile);
    EXPECT_EQ(decision.estimate_us, std::nullopt);
    EXPECT_EQ(runtime.explain(given.step).reason, "the safe route: no profile is given");
    EXPECT_EQ(runtime.explain(given.step).choice.route, decision.route);
    return decision.route;
  };
  EXPECT_EQ(route(testing_support::all_schedules()), Route::kStream);
  EXPECT_EQ(route({Schedule::kPaddedBucket, Schedule::kWorkqueue}), Route::kWorkqueue);
  EXPECT_EQ(route({Schedule::kPaddedBucket}), Route::kPaddedBucket);
  EXPECT_EQ(route(testing_support::all_schedules(), Route::kWorkqueueFused), Route::kWorkqueueFused);
  EXPECT_EQ(route({Schedule::kStream}, Route::kFlashInferTensorCore), Route::kStream);
}

TEST(RuntimeChoice, ProfilesForSomethingElseMeanTheSafeRoute) {
  const auto expect_safe = [](const Runtime& runtime, const Step& step, Route route, const char* said) {
    EXPECT_EQ(runtime.choose(step).route, route);
    EXPECT_EQ(runtime.choose(step).grounds, Grounds::kNotCovered);
    EXPECT_EQ(runtime.choose(step).estimate_us, std::nullopt);
    EXPECT_THAT(runtime.explain(step).reason, HasSubstr(said));
    EXPECT_THAT(runtime.explain(step).reason, HasSubstr("the safe route, not covered by the profile"));
  };
  FakeStep given(rows(8, 32768));
  const Runtime runtime(paper(), {fake()});
  EXPECT_EQ(runtime.choose(given.step).grounds, Grounds::kEstimate);
  given.step.shape = {32, 4, 128};
  expect_safe(runtime, given.step, Route::kStream, "num_q_heads / num_kv_heads is 8, must be one of 4");
  expect_safe(Runtime(paper(), {fake()}, {.safe_route = Route::kPaddedBucket}), given.step, Route::kPaddedBucket, "");
  expect_safe(Runtime(all_of_ours(), {fake()}), given.step, Route::kWorkqueue, "must be one of 4");  // the profile's
  given.step.shape = {32, 8, 64};
  expect_safe(runtime, given.step, Route::kStream, "head_dim is 64, must be one of 128");
  given.step.shape = {32, 8, 128};
  given.step.dtype = DType::kBF16;
  expect_safe(runtime, given.step, Route::kStream, "dtype is bf16, must be one of fp16");
  given.step.dtype = DType::kF16;

  const std::string own = paper().device_name;
  expect_safe(Runtime(paper(), {fake("a", testing_support::all_schedules(), {}, "Another")}), given.step,
              Route::kStream, ("device is Another, must be " + own).c_str());
  expect_safe(Runtime(paper(), {fake()}, {.device_name = "Another"}), given.step, Route::kStream, "Another");
  EXPECT_EQ(Runtime(paper(), {fake("a", testing_support::all_schedules(), {}, own)}).choose(given.step).route,
            Route::kWorkqueue);
  EXPECT_EQ(Runtime(paper(), {fake("a", testing_support::all_schedules(), {}, "Another")}, {.device_name = own})
                .choose(given.step)
                .route,
            Route::kWorkqueue);
}

TEST(RuntimeChoice, WhereTheProfileLeavesNoChoiceNoneIsMade) {
  DeviceProfile profile = paper();
  profile.gates.clear();
  profile.candidates = {{Route::kWorkqueue}, {Route::kSequenceSplit}};
  for (RouteCandidate& candidate : profile.candidates) candidate.fits.emplace_back().group_size = 4;
  profile.safe_route = Route::kSequenceSplit;
  profile.candidates[1].fits[0].us.fill(1);  // far above the other's
  const FakeStep given(rows(8, 32768));
  EXPECT_EQ(Runtime(profile, {fake()}).choose(given.step).route, Route::kWorkqueue);
  profile.margin = 1;
  const Runtime runtime(profile, {fake()});
  EXPECT_EQ(runtime.choose(given.step).route, Route::kSequenceSplit);
  EXPECT_EQ(runtime.choose(given.step).grounds, Grounds::kEstimate);
  EXPECT_EQ(runtime.choose(given.step).estimate_us, std::nullopt);
  EXPECT_EQ(runtime.explain(given.step).choice.route, Route::kSequenceSplit);
  EXPECT_THAT(runtime.explain(given.step).reason, HasSubstr("which no estimate is below by the margin of 100.0 %"));
  EXPECT_THROW((void)Runtime(profile, {fake()}, {.plan = {.tile_tokens = 0}}).choose(given.step), InvalidArgument);
}

TEST(RuntimeChoice, ForcedRoutesGoBeforeTheProfile) {
  const FakeStep given(rows(4, 2048));
  for (const Schedule schedule : kAllSchedules) {
    const Route route = route_of(schedule);
    for (const bool with_profile : {false, true}) {
      const auto backend = fake();
      Runtime runtime(with_profile ? std::optional(paper()) : std::nullopt, {backend}, {.route = route});
      const RuntimeStep step = runtime.prepare(given.step);
      EXPECT_EQ(step.decision().route, route);
      EXPECT_EQ(step.decision().grounds, Grounds::kForced);
      EXPECT_EQ(step.decision().estimate_us.has_value(), with_profile);
      EXPECT_EQ(backend->asked.back().schedule, schedule);
      EXPECT_EQ(step.explain().reason, "forced: RuntimeOptions::route is " + std::string(to_string(route)));
      for (const RouteVerdict& v : step.explain().routes) EXPECT_EQ(v.chosen, v.route == route);
    }
  }
}

TEST(RuntimeChoice, PlanOptionsReachTheBackend) {
  const FakeStep given(rows(8, 32768));
  const auto backend = fake();
  Runtime runtime(paper(), {backend}, {.plan = {.tile_tokens = 64, .splits = 28, .num_workers = 5}});
  EXPECT_EQ(runtime.prepare(given.step).decision().splits, 28);
  EXPECT_EQ(backend->asked.back().options.splits, 28);
  EXPECT_EQ(backend->asked.back().options.tile_tokens, 64);
  EXPECT_EQ(backend->asked.back().options.num_workers, 5);

  const FakeStep four(rows(4, 32768));  // `stream`, which has no splits
  EXPECT_EQ(runtime.prepare(four.step).decision().route, Route::kStream);
  EXPECT_EQ(backend->asked.back().options.splits, 0);

  Runtime timed(find_profile("rtx3060-paper-timed"), {backend});
  const FakeStep one(rows(1, 8192));
  EXPECT_EQ(timed.prepare(one.step).decision().route, Route::kSequenceSplit);
  EXPECT_EQ(backend->asked.back().options.splits, 32);  // the profile's
}

}  // namespace
}  // namespace pkv
