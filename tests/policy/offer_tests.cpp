// What the router does where not every route has somebody to run it. That nothing changes where all have is what the
// tests of the paper's choices say.

#include "persistentkv/core/error.hpp"
#include "persistentkv/policy/profile_io.hpp"
#include "persistentkv/policy/router.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace pkv {
namespace {

using testing::HasSubstr;

PolicyInput input_of(const std::vector<std::int32_t>& lengths) {
  PolicyInput input;
  input.step.lengths = lengths;
  return input;
}

TEST(RouteSet, HoldsWhatWasPutInAndNoMore) {
  static_assert(RouteSet{}.empty() && !RouteSet::all().empty());
  for (const Route route : kRunnableRoutes) {
    EXPECT_TRUE(RouteSet::all().contains(route));
    EXPECT_TRUE(RouteSet{route}.contains(route));
    for (const Route other : kRunnableRoutes) EXPECT_EQ(RouteSet{route}.contains(other), route == other);
  }
  EXPECT_FALSE(RouteSet::all().contains(Route::kPolicy));
  EXPECT_EQ((RouteSet{Route::kStream, Route::kStream}), RouteSet{Route::kStream});
}

TEST(SafeRoute, TheOffersThenTheProfilesThenStreamThenWorkqueue) {
  const auto of = [](RouteSet routes, std::optional<Route> asked, std::optional<Route> profile) {
    return safe_route({routes, asked}, profile);
  };
  const Route flashinfer = Route::kFlashInferTensorCore;
  EXPECT_EQ(of(RouteSet::all(), Route::kPaddedBucket, flashinfer), Route::kPaddedBucket);
  EXPECT_EQ(of(RouteSet::all(), std::nullopt, flashinfer), flashinfer);
  EXPECT_EQ(of(RouteSet::all(), std::nullopt, std::nullopt), Route::kStream);
  EXPECT_EQ(of({Route::kWorkqueue, Route::kStream}, Route::kPaddedBucket, flashinfer), Route::kStream);
  EXPECT_EQ(of({Route::kWorkqueue, Route::kExactBuckets}, std::nullopt, flashinfer), Route::kWorkqueue);
  EXPECT_EQ(of({Route::kSequenceSplit, Route::kPaddedBucket}, std::nullopt, std::nullopt), Route::kPaddedBucket);
  EXPECT_THROW((void)of({}, Route::kStream, flashinfer), InvalidArgument);
}

TEST(Offer, RoutesThatNobodyHasAreRuledOutAndTheSafeRouteIsReplaced) {
  const Router router(find_profile("rtx3060-paper"));
  const RouteOffer ours{{Route::kSequenceSplit, Route::kWorkqueue, Route::kStream}, std::nullopt};

  const std::vector<std::int32_t> many(14, 32768);  // the paper gives it to FlashInfer, by the estimate
  EXPECT_EQ(router.choose(input_of(many)).route, Route::kFlashInferTensorCore);
  EXPECT_EQ(router.choose(input_of(many), ours).route, Route::kWorkqueue);
  EXPECT_EQ(router.explain(input_of(many), ours).reason, "the only candidate that the gates leave of those offered");

  const std::vector<std::int32_t> four(4, 32768);  // and this one by its gates
  const Ruling ruling = router.rule(input_of(four), ours);
  EXPECT_EQ(ruling.choice, (Choice{Route::kStream, 0}));
  EXPECT_EQ(ruling.grounds, Grounds::kNoCandidateLeft);
  const Decision decision = router.explain(input_of(four), ours);
  EXPECT_EQ(decision.choice.route, Route::kStream);
  EXPECT_EQ(decision.reason, "the safe route: the gates rule out every candidate that is offered");
  EXPECT_EQ(decision.routes.front().route, Route::kFlashInferTensorCore);
  EXPECT_EQ(decision.routes.front().ruled_out_by, "nobody offers it");
  const auto chosen = std::find_if(decision.routes.begin(), decision.routes.end(), [](auto& v) { return v.chosen; });
  ASSERT_NE(chosen, decision.routes.end());
  EXPECT_EQ(chosen->route, Route::kStream);
  EXPECT_EQ(chosen->estimate.total_us, ruling.estimate_us);
}

TEST(Offer, AnotherDeviceIsNotCovered) {
  const Router router(find_profile("rtx3060-paper"));
  const std::vector<std::int32_t> lengths(8, 32768);
  PolicyInput input = input_of(lengths);
  input.device_name = router.profile().device_name;
  EXPECT_EQ(router.rule(input).grounds, Grounds::kEstimate);
  EXPECT_EQ(router.choose(input), router.choose(input_of(lengths)));
  input.device_name = "NVIDIA H200";
  const Ruling ruling = router.rule(input);
  EXPECT_EQ(ruling.grounds, Grounds::kNotCovered);
  EXPECT_EQ(ruling.choice.route, Route::kFlashInferTensorCore);
  EXPECT_EQ(ruling.estimate_us, std::nullopt);
  EXPECT_THAT(router.explain(input).reason, HasSubstr("device is NVIDIA H200, must be NVIDIA GeForce RTX 3060"));
}

// On random steps and offers: what is chosen by the estimate is what a profile without the other routes would choose.
TEST(Offer, IsAsIfTheProfileHadNoOtherCandidates) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  DeviceProfile profile = find_profile("rtx3060-paper");
  for (const Route route : kRunnableRoutes)
    if (profile.candidate(route) == nullptr) profile.candidates.push_back({route, 0});
  profile.gates.push_back({"middling", {Route::kStream, Route::kPaddedBucket}, StepQuantity::kKvTokens, 9000, 60000});
  const Router router(profile);
  int by_estimate = 0;
  for (int round = 0; round < 300; ++round) {
    RouteOffer offer{{}, std::nullopt};
    DeviceProfile fewer = profile;
    fewer.candidates.clear();
    for (const RouteCandidate& candidate : profile.candidates) {
      if (random() % 2 == 0) continue;
      offer.routes.insert(candidate.route);
      fewer.candidates.push_back(candidate);
    }
    if (fewer.candidates.empty()) continue;
    fewer.safe_route = safe_route(offer, profile.safe_route);
    for (Gate& gate : fewer.gates)
      std::erase_if(gate.routes, [&](Route route) { return !offer.routes.contains(route); });
    std::erase_if(fewer.gates, [](const Gate& gate) { return gate.routes.empty(); });

    std::vector<std::int32_t> lengths(random() % 20);
    for (std::int32_t& length : lengths) length = static_cast<std::int32_t>(random() % (2U << random() % 17)) - 1;
    const Ruling ruling = router.rule(input_of(lengths), offer);
    EXPECT_EQ(ruling.choice, Router(fewer).choose(input_of(lengths)));
    EXPECT_EQ(ruling.choice, router.explain(input_of(lengths), offer).choice);
    EXPECT_TRUE(offer.routes.contains(ruling.choice.route));
    by_estimate += ruling.grounds == Grounds::kEstimate ? 1 : 0;
  }
  EXPECT_GT(by_estimate, 50);
}

}  // namespace
}  // namespace pkv
