// Which backend runs what, and what is said where none does.

#include "persistentkv/policy/profile_io.hpp"
#include "runtime/fake_backend.hpp"
#include "support/thrown.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace pkv {
namespace {

using testing::HasSubstr;
using testing_support::fake;
using testing_support::FakeStep;
using testing_support::thrown_by;

TEST(RuntimeOffers, TheFirstBackendThatServesTheShapeRunsTheRoute) {
  const auto first = fake("first", {Schedule::kStream, Schedule::kWorkqueue});
  const auto second = fake("second");
  first->can.head_dims = {128};
  const Runtime runtime(std::nullopt, {first, second});
  for (const OfferedRoute& offer : runtime.offers({32, 8, 128}, DType::kF16, 16)) {
    const bool in_first = offer.route == Route::kStream || offer.route == Route::kWorkqueue;
    const bool ours = schedule_of(offer.route).has_value();
    EXPECT_EQ(offer.backend, in_first ? "first" : ours ? "second" : "") << to_string(offer.route);
    EXPECT_EQ(offer.why_not.empty(), ours);
  }
  for (const OfferedRoute& offer : runtime.offers({32, 8, 64}, DType::kF16, 16)) EXPECT_NE(offer.backend, "first");

  FakeStep given({100, 200});
  EXPECT_EQ(runtime.choose(given.step).backend, "first");
  given.step.shape.head_dim = 64;
  EXPECT_EQ(runtime.choose(given.step).backend, "second");
  EXPECT_THROW((void)runtime.offers({32, 0, 64}, DType::kF16, 16), InvalidArgument);
}

TEST(RuntimeOffers, ShapesAskedForInTurnKeepTheirOwnBackends) {
  const auto first = fake("first");
  const auto second = fake("second");
  first->can.head_dims = {64};
  first->can.dtypes = {DType::kF16};
  first->can.min_page_size = 16;
  first->can.device_lengths = {};
  second->can.device_lengths = {Schedule::kStream};
  const Runtime runtime(std::nullopt, {first, second});
  const auto ask = [&] {
    FakeStep given({100, 200});
    for (int round = 0; round < 3; ++round) {  // more shapes than are remembered
      for (int heads = 1; heads <= 40; ++heads) {
        given.step.shape = {.num_q_heads = heads, .num_kv_heads = heads, .head_dim = 64};
        EXPECT_EQ(runtime.choose(given.step).backend, "first");
        given.step.shape.head_dim = 128;
        EXPECT_EQ(runtime.choose(given.step).backend, "second");
      }
      given.step.shape.head_dim = 64;
      EXPECT_EQ(runtime.choose(given.step).backend, "first");
      given.step.lengths.values.space = MemorySpace::kDevice;
      EXPECT_EQ(runtime.choose(given.step).backend, "second");
      given.step.lengths.values.space = MemorySpace::kHost;
      given.step.page_size = 8;
      EXPECT_EQ(runtime.choose(given.step).backend, "second");
      given.step.page_size = 16;
      given.step.dtype = DType::kF32;
      EXPECT_EQ(runtime.choose(given.step).backend, "second");
      given.step.dtype = DType::kF16;
    }
  };
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) threads.emplace_back(ask);
  for (std::thread& thread : threads) thread.join();
}

TEST(RuntimeOffers, StepsThatNobodyServesAreUnsupportedAndEachBackendSaysWhy) {
  const auto a = fake("a");
  const auto b = fake("b");
  a->can.head_dims = {128};
  b->can.dtypes = {DType::kF32};
  Runtime runtime(std::nullopt, {a, b, fake("c", {})});
  FakeStep given({100});
  given.step.shape.head_dim = 64;
  EXPECT_EQ(
      thrown_by<Unsupported>([&] { (void)runtime.prepare(given.step); }),
      "no backend has a route for this step: a: head_dim is 64, must be one of 128; b: dtype is fp16, must be one "
      "of fp32; c: has no routes");
  EXPECT_THROW((void)runtime.choose(given.step), Unsupported);
  EXPECT_THROW((void)runtime.explain(given.step), Unsupported);
  EXPECT_EQ(runtime.counters().steps(), 0);
}

TEST(RuntimeOffers, ForcedRoutesThatNobodyOffersAreUnsupported) {
  const FakeStep given({100});
  const auto a = fake("a", {Schedule::kStream});
  const auto b = fake("b");
  b->can.max_group_size = 2;
  const auto said = [&](Route route) {
    return thrown_by<Unsupported>([&] {
      (void)Runtime(find_profile("rtx3060-paper"), {a, b}, {.route = route}).choose(given.step);
    });
  };
  EXPECT_EQ(said(Route::kStream), "nothing was thrown");
  EXPECT_EQ(
      said(Route::kWorkqueue),
      "route is workqueue, which no backend has for this step: a: has no such route, but stream; b: num_q_heads / "
      "num_kv_heads is 4, must be at most 2");
  EXPECT_THAT(said(Route::kFlashInferTensorCore), HasSubstr("route is flashinfer-tensor-core, which no backend has"));
}

TEST(RuntimeOffers, RoutesOfABackendsOwnAreOfferedAndPreparedByIt) {
  const auto ours = fake("ours");
  const auto theirs = fake("theirs", {});
  theirs->can.own_routes = {Route::kFlashInferTensorCore};
  theirs->can.group_sizes = {1, 4};
  FakeStep given({100, 200});
  Runtime runtime(std::nullopt, {ours, theirs}, {.route = Route::kFlashInferTensorCore});
  const RuntimeStep ready = runtime.prepare(given.step);
  EXPECT_EQ(ready.decision().route, Route::kFlashInferTensorCore);
  EXPECT_EQ(ready.decision().backend, "theirs");
  ASSERT_EQ(theirs->asked_routes.size(), 1u);
  EXPECT_EQ(theirs->asked_routes[0].route, Route::kFlashInferTensorCore);
  EXPECT_TRUE(ours->asked.empty() && ours->asked_routes.empty());
  EXPECT_EQ(runtime.counters().steps(Route::kFlashInferTensorCore), 1);
  for (const OfferedRoute& offer : runtime.offers({32, 8, 128}, DType::kF16, 16))
    EXPECT_EQ(offer.backend == "theirs", offer.route == Route::kFlashInferTensorCore) << to_string(offer.route);

  given.step.shape.num_kv_heads = 16;
  EXPECT_THAT(thrown_by<Unsupported>([&] { (void)runtime.choose(given.step); }),
              HasSubstr("theirs: num_q_heads / num_kv_heads is 2, must be one of 1, 4"));
}

TEST(RuntimeOffers, RoutesOfABackendsOwnNeedLengthsOnTheHost) {
  const auto theirs = fake("theirs", {});
  theirs->can.own_routes = {Route::kFlashInferCudaCore};
  FakeStep given({100, 200});
  given.step.lengths.values.space = MemorySpace::kDevice;
  EXPECT_EQ(thrown_by<Unsupported>([&] { (void)Runtime(std::nullopt, {theirs}).choose(given.step); }),
            "no backend has a route for this step: theirs: lengths or block table are on a device, must be on the host "
            "but for none");
}

TEST(RuntimeOffers, BackendsPrepareSchedulesByTheirRoutesAndNoOthers) {
  const auto backend = fake("plain");
  const FakeStep given({100});
  for (const Schedule schedule : kAllSchedules) {
    (void)backend->prepare_route(given.step, route_of(schedule), {.splits = 3});
    EXPECT_EQ(backend->asked.back().schedule, schedule);
    EXPECT_EQ(backend->asked.back().options.splits, 3);
  }
  EXPECT_EQ(backend->asked.size(), kAllSchedules.size());
  for (const Route route : {Route::kFlashInferCudaCore, Route::kFlashInferTensorCore, Route::kPolicy}) {
    EXPECT_EQ(thrown_by<Unsupported>([&] { (void)backend->prepare_route(given.step, route, {}); }),
              "route is " + std::string(to_string(route)) + ", which backend plain does not have");
  }
}

TEST(RuntimeOffers, BadConfigurationsAreRefused) {
  using Backends = std::vector<std::shared_ptr<Backend>>;
  const auto said = [](std::optional<DeviceProfile> profile, Backends backends, RuntimeOptions options = {}) {
    return thrown_by([&] { (void)Runtime(std::move(profile), std::move(backends), std::move(options)); });
  };
  EXPECT_EQ(said({}, {}), "backends is empty, must have at least one");
  EXPECT_EQ(said({}, {fake(), nullptr}), "backends[1] is null, must be a backend");
  EXPECT_EQ(said({}, {fake()}, {.safe_route = Route::kPolicy}),
            "safe_route is policy, must be a route that runs a step");
  EXPECT_EQ(said({}, {fake("a", {}, {}, "X"), fake("b"), fake("c", {}, {}, "Y")}),
            "backends[2] runs on Y, must run on X as those before it");
  EXPECT_THAT(said(DeviceProfile{}, {fake()}), HasSubstr("name is \"\""));
}

TEST(RuntimeOffers, BadStepsAreRefusedBeforeABackendSeesThem) {
  const auto backend = fake();
  Runtime runtime(std::nullopt, {backend});
  const auto refused = [&](const auto& spoil) {
    FakeStep given({100, 200});
    spoil(given);
    return thrown_by([&] { (void)runtime.prepare(given.step); });
  };
  EXPECT_THAT(refused([](FakeStep& s) { s.step.lengths.values.data = nullptr; }), HasSubstr("lengths is null"));
  EXPECT_THAT(refused([](FakeStep& s) { s.step.batch = -1; }), HasSubstr("batch is -1"));
  EXPECT_THAT(refused([](FakeStep& s) { s.step.batch = 3; }), HasSubstr("lengths has 2 entries, must have 3"));
  EXPECT_THAT(refused([](FakeStep& s) { s.step.page_size = 0; }), HasSubstr("page_size is 0"));
  EXPECT_THAT(refused([](FakeStep& s) { s.step.shape.num_kv_heads = 0; }), HasSubstr("num_kv_heads is 0"));
  EXPECT_THAT(refused([](FakeStep& s) { s.lengths[1] = 1 << 20; }), HasSubstr("lengths[1] is 1048576 tokens"));
  EXPECT_TRUE(backend->asked.empty());
}

}  // namespace
}  // namespace pkv
