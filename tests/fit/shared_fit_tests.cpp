#include "fit/shared_fit.hpp"

#include "fit/fit_profile.hpp"
#include "made_up_times.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace pkv::fit {
namespace {

using testing_support::made_up_device;
using testing_support::make_samples;
using testing_support::pointers;
using testing_support::terms;
using testing_support::TrueCost;

constexpr int kSms = 100;
constexpr Choice kChoice{Route::kStream};
const AttentionShape kShape{.num_q_heads = 32, .num_kv_heads = 8, .head_dim = 128};

TrueCost stream() {
  return {kChoice, 1, terms({{CostTerm::kConstant, 7}, {CostTerm::kKvMib, 0.24}, {CostTerm::kTasksPerSlot, 0.5}}), {}};
}

class SharedFit : public ::testing::Test {
 protected:
  /// The first `count` of them as if timed in bf16, `factor` times as long.
  static std::vector<StepSample> in_bf16(const std::vector<StepSample>& samples, std::size_t count, double factor) {
    std::vector<StepSample> twins(samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(count));
    for (StepSample& twin : twins) {
      twin.dtype = DType::kBF16;
      for (double& us : twin.routes.front().time_us) us *= factor;
    }
    return twins;
  }
  static DeviceProfile fitted(std::vector<StepSample> samples, const std::vector<StepSample>& more, int& shared_fits) {
    samples.insert(samples.end(), more.begin(), more.end());
    FittedProfile result = fit_profile(made_up_device(kSms), samples, std::vector{kChoice});
    shared_fits = result.shared_fits;
    return result.profile;
  }

  std::uint32_t seed_ = std::random_device{}();
  ::testing::ScopedTrace trace_{__FILE__, __LINE__, seed_};
  std::mt19937 random_{seed_};
};

// The step that was left out when its twin was predicted is predicted likewise.
TEST_F(SharedFit, PredictsByTheFitThatHadNotSeenTheStep) {
  std::vector<StepSample> samples = make_samples(random_, 60, kShape, kSms, {stream()}, 0);
  for (double& us : samples[7].routes[0].time_us) us *= 3;
  const std::vector<const StepSample*> all = pointers(samples);
  const FittedRoute own = fit_route(all, kChoice, {.num_sms = kSms});
  const std::vector<StepSample> twins = in_bf16(samples, 12, 1.0);
  const FittedRoute shared = shared_fit({all, own}, pointers(twins), kChoice, {.num_sms = kSms});
  for (std::size_t i = 0; i < twins.size(); ++i) EXPECT_EQ(shared.predicted_us[i], own.predicted_us[i]) << i;
  EXPECT_EQ(shared.fit.error.steps, 12);
  EXPECT_EQ(shared.fit.dtype, DType::kBF16);
  EXPECT_EQ(shared.fit.us, own.fit.us);
}

TEST_F(SharedFit, PredictsStepsWithoutATwinByAllOfThem) {
  const std::vector<StepSample> samples = make_samples(random_, 60, kShape, kSms, {stream()}, 0);
  const std::vector<const StepSample*> all = pointers(samples);
  const FittedRoute own = fit_route(all, kChoice, {.num_sms = kSms});
  std::vector<StepSample> others = in_bf16(make_samples(random_, 8, kShape, kSms, {stream()}, 0), 8, 1.0);
  others[3].routes.clear();
  const FittedRoute shared = shared_fit({all, own}, pointers(others), kChoice, {.num_sms = kSms});
  EXPECT_LT(shared.fit.error.max, 5e-3);
  EXPECT_EQ(shared.fit.error.steps, 7);
  EXPECT_LT(shared.predicted_us[3], 0);
}

// Where a fit of few samples is as good by chance, it is taken.
TEST_F(SharedFit, ServesADtypeThatTakesAsLong) {
  int shared = 0;
  for (int i = 0; i < 20; ++i) {
    const std::vector<StepSample> samples = make_samples(random_, 60, kShape, kSms, {stream()}, 0.02);
    int shared_fits = 0;
    const DeviceProfile profile = fitted(samples, in_bf16(samples, 9, 1.0), shared_fits);
    EXPECT_EQ(profile.dtypes, (std::vector{DType::kF16, DType::kBF16}));
    const RouteCandidate& candidate = profile.candidates.front();
    ASSERT_EQ(candidate.fits.size(), 2u);
    EXPECT_EQ(candidate.fits[0].us == candidate.fits[1].us, shared_fits == 1);
    EXPECT_EQ(candidate.fits[1].error.steps, 9);
    shared += shared_fits;
  }
  EXPECT_GE(shared, 10);
}

TEST_F(SharedFit, DoesNotServeOneThatTakesLonger) {
  const std::vector<StepSample> samples = make_samples(random_, 60, kShape, kSms, {stream()}, 0.002);
  int shared_fits = 0;
  const DeviceProfile profile = fitted(samples, in_bf16(samples, 30, 1.5), shared_fits);
  EXPECT_EQ(shared_fits, 0);
  const RouteCandidate& candidate = profile.candidates.front();
  ASSERT_EQ(candidate.fits.size(), 2u);
  EXPECT_NE(candidate.fits[0].us, candidate.fits[1].us);
  EXPECT_LT(candidate.fits[1].error.median, 0.02);
}

// FP32 reads twice the bytes.
TEST_F(SharedFit, IsForDtypesOfOneSize) {
  const std::vector<StepSample> samples = make_samples(random_, 60, kShape, kSms, {stream()}, 0.002);
  std::vector<StepSample> twins = in_bf16(samples, 30, 1.0);
  for (StepSample& twin : twins) twin.dtype = DType::kF32;
  int shared_fits = 0;
  (void)fitted(samples, twins, shared_fits);
  EXPECT_EQ(shared_fits, 0);
}

}  // namespace
}  // namespace pkv::fit
