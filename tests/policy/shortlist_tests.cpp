// The router leaves out estimates that cannot win; explain() makes every one. Both must choose the same.
#include "persistentkv/policy/profile_io.hpp"
#include "persistentkv/policy/router.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <vector>

namespace pkv {
namespace {

class Shortlist : public testing::Test {
 protected:
  int below(int bound) { return static_cast<int>(random_() % static_cast<unsigned>(bound)); }

  /// Whole numbers, so that some estimates are equal; others of such sizes that every term matters somewhere.
  double coefficient(CostTerm term) {
    if (below(3) == 0) return 0;
    if (coarse_) return below(3);
    const bool many = term == CostTerm::kKvMib || term == CostTerm::kFirstKvMib || term == CostTerm::kMiddleKvMib ||
                      term == CostTerm::kKiloPages;
    return std::uniform_real_distribution(0.0, many ? 0.3 : 12.0)(random_);
  }

  RouteFit fit(int group_size) {
    RouteFit fit;
    fit.group_size = group_size;
    fit.resident_ctas_per_sm = 1 + below(8);
    for (const CostTerm term : kAllCostTerms) at(fit.us, term) = coefficient(term);
    fit.error.mean = coarse_ ? 0 : 0.01 * below(15);
    return fit;
  }

  DeviceProfile profile() {
    coarse_ = below(4) == 0;
    DeviceProfile profile;
    profile.name = "random";
    profile.device_name = "A GPU";
    profile.num_sms = 1 + below(160);
    profile.group_sizes = {1, 4, 8};
    profile.head_dims = {128};
    profile.dtypes = {DType::kF16};
    profile.cost = {TimeUnits::kSi, 1000.0 + below(4000), 1.0 + below(4), 0.5 * below(8)};
    profile.caution = below(2) == 0 ? 0 : below(4);
    profile.margin = std::array{0.0, 0.0, 0.05 * below(8), 0.05 * below(8), 1.0}[static_cast<std::size_t>(below(5))];
    for (const Route route : kRunnableRoutes) {
      if (below(4) == 0) continue;
      profile.candidates.push_back({route});
      if (route == Route::kWorkqueueFused) profile.candidates.push_back({route, 16});
    }
    if (profile.candidates.empty()) profile.candidates.push_back({Route::kStream});
    std::shuffle(profile.candidates.begin(), profile.candidates.end(), random_);
    profile.safe_route =
        profile.candidates[static_cast<std::size_t>(below(static_cast<int>(profile.candidates.size())))].route;
    const double plan_us = 8.0 * below(5);
    for (RouteCandidate& candidate : profile.candidates) {
      for (const int group_size : {4, 8, 1})
        if (group_size == 4 || below(3) > 0) candidate.fits.push_back(fit(group_size));
      if (below(4) > 0)
        candidate.plan = PlanFit{plan_us, coarse_ ? 0 : 0.01 * below(9), coarse_ ? 0 : 0.001 * below(9)};
    }
    if (below(4) == 0)
      profile.gates.push_back({"few rows", {profile.candidates.front().route}, StepQuantity::kActiveRows, 2, 40});
    return profile;
  }

  void expect_the_same(const DeviceProfile& profile, int steps) {
    const Router router(profile);
    for (int i = 0; i < steps; ++i) {
      std::vector<std::int32_t> lengths(static_cast<std::size_t>(below(i % 16 == 0 ? 200 : 12)));
      const int longest = std::array{1, 300, 3000, 30000, 130000}[static_cast<std::size_t>(below(5))];
      const bool equal = below(3) == 0;
      for (std::int32_t& length : lengths) length = equal ? longest : below(longest + 1);
      PolicyInput input;
      input.step.lengths = lengths;
      input.step.shape.num_kv_heads = std::array{8, 8, 8, 4, 32, 16}[static_cast<std::size_t>(below(6))];
      input.page_size = 1 << below(7);
      input.layers_per_plan = std::array{0, 1, 32}[static_cast<std::size_t>(below(3))];
      if (below(8) == 0) input.options.splits = 1 + below(40);
      if (below(8) == 0) input.options.num_workers = 1 + below(300);
      if (below(8) == 0) input.options.min_run_tokens = 1 + below(3000);
      RouteOffer offer;
      if (below(2) == 0) {
        offer.routes = {Route::kStream};
        for (const Route route : kRunnableRoutes)
          if (below(2) == 0) offer.routes.insert(route);
      }
      const Ruling ruling = router.rule(input, offer);
      const Decision all = router.explain(input, offer);
      ASSERT_EQ(ruling.choice, all.choice) << describe(all);
      ASSERT_EQ(router.choose(input, offer), all.choice);
      if (const auto settled = router.settled(input, offer)) {
        ASSERT_EQ(*settled, all.choice) << describe(all);
        ++settled_;
      }
      if (ruling.grounds != Grounds::kEstimate) continue;
      ++compared_;
      // Of candidates that the run's splits make the same, either's estimate.
      EXPECT_TRUE(std::any_of(all.routes.begin(), all.routes.end(), [&](const RouteVerdict& verdict) {
        return verdict.route == all.choice.route && verdict.splits == all.choice.splits &&
               verdict.estimate.total_us == ruling.estimate_us;
      })) << describe(all);
    }
  }

  std::mt19937 random_{std::random_device{}()};
  bool coarse_ = false;
  int compared_ = 0;
  int settled_ = 0;
};

TEST_F(Shortlist, ChoosesAsAllEstimatesDoInRandomProfiles) {
  for (int i = 0; i < 300 && !HasFatalFailure(); ++i) expect_the_same(profile(), 40);
  EXPECT_GT(compared_, 3000);
  EXPECT_GT(settled_, 300);
}

TEST_F(Shortlist, ChoosesAsAllEstimatesDoInThoseShipped) {
  for (const std::string_view name : built_in_profile_names()) {
    SCOPED_TRACE(name);
    expect_the_same(find_profile(name), 2000);
  }
  EXPECT_GT(compared_, 100);
}

TEST_F(Shortlist, CopiesOfARouterOutliveIt) {
  const DeviceProfile random = profile();
  auto router = std::make_unique<Router>(random);
  const Router copy = *router;
  router.reset();
  const std::vector<std::int32_t> lengths = {5000, 17};
  PolicyInput input;
  input.step.lengths = lengths;
  EXPECT_EQ(copy.choose(input), Router(random).choose(input));
}

}  // namespace
}  // namespace pkv
