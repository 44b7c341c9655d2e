#include "calibrate/calibrate.hpp"

#include "calibrate/cpu_timer.hpp"
#include "calibrate/measure_regret.hpp"
#include "made_up_timer.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/policy/profile_io.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

namespace pkv::calibrate {
namespace {

using testing_support::MadeUpTimer;

double kv_mib(const TimedShape& shape, const Lengths& lengths) {
  return static_cast<double>(std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0})) *
         static_cast<double>(shape.kv_bytes_per_token()) / (1 << 20);
}

/// Stream reads fast and begins late; FlashInfer begins early and reads slowly, and has no code for G = 16; the others
/// are never best.
double two_way(const TimedShape& shape, const Choice& choice, const Lengths& lengths) {
  const double mib = kv_mib(shape, lengths);
  if (choice.route == Route::kStream) return 10 + 0.24 * mib;
  if (choice.route == Route::kFlashInferTensorCore) return shape.shape.group_size() > 8 ? -1 : 4 + 0.3 * mib;
  return 30 + 0.5 * mib;
}

CalibrationOptions options() {
  CalibrationOptions options;
  options.name = "a-gpu";
  options.measured_by = "a test";
  options.date = "2026-01-01";
  options.choices = default_choices();
  return options;
}

TEST(Calibrate, WritesAProfileThatChoosesAsTheDeviceRuns) {
  MadeUpTimer timer(two_way);
  double progress = 0;
  const Calibration calibration = calibrate(timer, options(), [&](double done) {
    EXPECT_GE(done, progress);
    progress = done;
  });
  EXPECT_DOUBLE_EQ(progress, 1);
  const DeviceProfile& profile = calibration.fitted.profile;
  EXPECT_EQ(profile.device_name, "A GPU");
  EXPECT_EQ(profile.num_sms, 100);
  EXPECT_EQ(profile.group_sizes, (std::vector{4, 1, 8, 2, 16}));
  EXPECT_EQ(profile.safe_route, Route::kStream);  // the other good one does not run G = 16
  EXPECT_EQ(profile.measured->page_read_gb_per_s, 4000);
  EXPECT_EQ(parse_profile(profile_to_json(profile), "a-gpu.json"), profile);
  EXPECT_LT(calibration.fitted.regret.policy, 1.01);

  // Shapes of other page sizes and fewer heads, too.
  std::set<int> page_sizes, heads;
  for (const TimedShape& shape : timer.opened) {
    page_sizes.insert(shape.page_size);
    if (shape.shape.group_size() == 4) heads.insert(shape.shape.num_kv_heads);
  }
  EXPECT_EQ(page_sizes, (std::set{16, 64}));
  EXPECT_EQ(heads, (std::set{2, 8}));

  const Router router(profile);
  const auto route = [&](const Lengths& lengths, int kv_heads) {
    PolicyInput input;
    input.step = {{.num_q_heads = 32, .num_kv_heads = kv_heads, .head_dim = 128}, lengths, {}};
    const Ruling ruling = router.rule(input);
    EXPECT_EQ(ruling.grounds, Grounds::kEstimate);
    return ruling.choice.route;
  };
  EXPECT_EQ(route({1000, 500}, 8), Route::kFlashInferTensorCore);  // 6 MiB: 5.8 us against 11.4
  EXPECT_EQ(route({60000, 500}, 8), Route::kStream);               // 236 MiB: 66.7 against 74.9
  EXPECT_EQ(route({1000, 500}, 2), Route::kStream);                // G = 16
}

/// One profile for both 16-bit dtypes, the second from fewer steps.
TEST(Calibrate, CoversEveryDtype) {
  MadeUpTimer timer(two_way);
  const Calibration calibration = calibrate(timer, options());
  const DeviceProfile& profile = calibration.fitted.profile;
  EXPECT_EQ(profile.dtypes, (std::vector{DType::kF16, DType::kBF16}));
  const auto steps_of = [&](DType dtype) {
    return std::count_if(calibration.samples.begin(), calibration.samples.end(),
                         [&](const fit::StepSample& sample) { return sample.dtype == dtype; });
  };
  EXPECT_LT(steps_of(DType::kBF16), steps_of(DType::kF16) / 2);
  EXPECT_GT(calibration.fitted.shared_fits, 0);
  EXPECT_EQ(parse_profile(profile_to_json(profile), "a-gpu.json"), profile);

  const Router router(profile);
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    PolicyInput input;
    const Lengths few = {1000, 500}, many = {60000, 500};
    input.dtype = dtype;
    input.step = {{.num_q_heads = 32, .num_kv_heads = 8, .head_dim = 128}, few, {}};
    EXPECT_EQ(router.rule(input).grounds, Grounds::kEstimate);
    EXPECT_EQ(router.choose(input).route, Route::kFlashInferTensorCore);
    input.step.lengths = many;
    EXPECT_EQ(router.choose(input).route, Route::kStream);
  }
}

/// A dtype for which a route is slow keeps what was measured of it.
TEST(Calibrate, ADtypeThatIsAnotherMatterIsFittedByItself) {
  MadeUpTimer timer([](const TimedShape& shape, const Choice& choice, const Lengths& lengths) {
    const bool slow = shape.dtype == DType::kBF16 && choice.route == Route::kStream;
    return two_way(shape, choice, lengths) * (slow ? 2 : 1);
  });
  const DeviceProfile profile = calibrate(timer, options()).fitted.profile;
  const RouteCandidate* stream = profile.candidate(Route::kStream);
  ASSERT_NE(stream, nullptr);
  const RouteFit* fp16 = stream->fit(4, 128, DType::kF16);
  const RouteFit* bf16 = stream->fit(4, 128, DType::kBF16);
  ASSERT_TRUE(fp16 != nullptr && bf16 != nullptr);
  EXPECT_NE(fp16->us, bf16->us);
  EXPECT_LT(bf16->error.mean, 0.05);
  const Lengths many = {60000, 500};
  PolicyInput input;
  input.step = {{.num_q_heads = 32, .num_kv_heads = 8, .head_dim = 128}, many, {}};
  EXPECT_EQ(Router(profile).choose(input).route, Route::kStream);  // 66.7 us against 74.9
  input.dtype = DType::kBF16;
  EXPECT_EQ(Router(profile).choose(input).route, Route::kFlashInferTensorCore);  // 133.4 against 74.9
}

TEST(Calibrate, TimeThatIsUpLeavesTheLeastOfSteps) {
  MadeUpTimer timer(two_way);
  CalibrationOptions hurried = options();
  hurried.seconds = 0;
  hurried.page_sizes = {16};
  hurried.group_sizes = {4};
  (void)calibrate(timer, hurried);
  EXPECT_EQ(timer.steps, 3 * fit::kLeastFitSamples + 1);  // two dtypes, another number of heads, and the merges
}

TEST(Calibrate, StepsThatDoNotFitAreLeftOut) {
  MadeUpTimer timer(two_way, 20000);
  const Calibration calibration = calibrate(timer, options());
  for (const fit::StepSample& sample : calibration.samples)
    EXPECT_LE(std::accumulate(sample.lengths.begin(), sample.lengths.end(), 0), 20000);
}

TEST(Calibrate, RefusesWhatItCannotDo) {
  MadeUpTimer timer(two_way);
  const auto refuses = [&](auto change) {
    CalibrationOptions bad = options();
    change(bad);
    EXPECT_THROW((void)calibrate(timer, bad), InvalidArgument);
  };
  refuses([](CalibrationOptions& o) { o.steps = 1; });
  refuses([](CalibrationOptions& o) { o.rounds = 0; });
  refuses([](CalibrationOptions& o) { o.group_sizes = {64}; });
  refuses([](CalibrationOptions& o) { o.group_sizes.clear(); });
  refuses([](CalibrationOptions& o) { o.choices.clear(); });
  refuses([](CalibrationOptions& o) { o.name = "no such name!"; });
  MadeUpTimer idle([](const TimedShape&, const Choice&, const Lengths&) { return -1.0; });
  EXPECT_THROW((void)calibrate(idle, options()), InvalidArgument);
}

TEST(MeasureRegret, IsSmallForTheDeviceItWasFittedOn) {
  MadeUpTimer timer(two_way);
  const DeviceProfile profile = calibrate(timer, options()).fitted.profile;
  const RegretRun run = measure_regret(timer, profile, {});
  EXPECT_EQ(run.all.steps, 3 * 5 * 6);  // G = 4, 1, 8; five seeds; six runs
  EXPECT_EQ(run.workloads.size(), 3u * 6);
  EXPECT_LT(run.all.all.policy.mean_ratio, 1.01);
  EXPECT_LE(run.all.all.policy.mean_ratio, run.all.all.constants.front().mean_ratio + 0.002);
  EXPECT_GT(run.all.all.constants.back().mean_ratio, 1.5);
  ASSERT_TRUE(run.all.without_stream.has_value());
  EXPECT_LT(run.all.without_stream->policy.mean_ratio, 1.01);  // then it is FlashInfer's, always
}

TEST(MeasureRegret, RefusesAnotherDeviceAndTheCalibrationSeed) {
  MadeUpTimer timer(two_way);
  EXPECT_THROW((void)measure_regret(timer, find_profile("rtx3060-paper"), {}), InvalidArgument);
  const DeviceProfile profile = calibrate(timer, options()).fitted.profile;
  EXPECT_THROW((void)measure_regret(timer, profile, {.seeds = {20260622}}), InvalidArgument);
  EXPECT_THROW((void)measure_regret(timer, profile, {.rounds = 1}), InvalidArgument);
}

TEST(CpuTimer, TimesEveryScheduleAndNothingElse) {
  const std::unique_ptr<StepTimer> timer = make_cpu_timer({.device_name = "a CPU", .pool_bytes = 1 << 20});
  const TimedShape shape{{.num_q_heads = 2, .num_kv_heads = 1, .head_dim = 16}};
  const std::vector<Choice> choices = default_choices();
  const Lengths lengths = {100, 0, 37};
  const std::unique_ptr<ShapeTimer> open = timer->open(shape, choices, 3, {lengths});
  EXPECT_TRUE(open->fits(lengths));
  EXPECT_FALSE(open->fits({1 << 20}));
  const std::vector<fit::RouteTimes> times = open->time(lengths);
  ASSERT_EQ(times.size(), choices.size());
  for (const fit::RouteTimes& of : times) {
    EXPECT_EQ(of.time_us.size(), schedule_of(of.choice.route) ? 3u : 0u) << to_string(of.choice.route);
    for (const double us : of.time_us) EXPECT_GT(us, 0);
  }
  const MeasuredOverheads measured = timer->overheads(shape, lengths);
  EXPECT_GT(measured.page_read_gb_per_s, 0);
  EXPECT_GT(measured.graph_node_us, 0);
}

}  // namespace
}  // namespace pkv::calibrate
