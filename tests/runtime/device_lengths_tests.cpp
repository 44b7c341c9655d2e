// Lengths that only the device knows: routes that take them there, chosen from bounds.

#include "persistentkv/policy/profile_io.hpp"
#include "runtime/fake_backend.hpp"
#include "support/thrown.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pkv {
namespace {

using testing::HasSubstr;
using testing_support::all_schedules;
using testing_support::fake;
using testing_support::FakeStep;
using testing_support::thrown_by;

void put_on_device(Step& step) {
  static const int nowhere = 0;  // read, it gives nonsense or worse
  for (IndexView* view : {&step.lengths.values, &step.table.entries}) {
    view->data = &nowhere;
    view->space = MemorySpace::kDevice;
  }
}

/// As the paper's, but `stream` is a candidate, and gated by the longest row.
DeviceProfile with_stream() {
  DeviceProfile profile = find_profile("rtx3060-paper");
  profile.candidates = {{Route::kWorkqueue, 20}, {Route::kStream, 0}, {Route::kPaddedBucket, 8}};
  profile.safe_route = Route::kWorkqueue;
  profile.gates = {{"long", {Route::kWorkqueue}, StepQuantity::kLongestRowTokens, 16384, std::nullopt}};
  return profile;
}

TEST(RuntimeDeviceLengths, OnlyRoutesThatTakeThemAreOffered) {
  const auto a = fake("a", all_schedules(), {Schedule::kPaddedBucket});
  const auto b = fake("b", all_schedules(), {Schedule::kStream, Schedule::kPaddedBucket});
  const Runtime runtime(std::nullopt, {a, b});
  FakeStep given({100, 200});
  EXPECT_EQ(runtime.choose(given.step).backend, "a");
  EXPECT_FALSE(runtime.choose(given.step).from_bounds);
  put_on_device(given.step);
  const RuntimeDecision decision = runtime.choose(given.step);
  EXPECT_EQ(decision.route, Route::kStream);
  EXPECT_EQ(decision.backend, "b");
  EXPECT_TRUE(decision.from_bounds);
  for (const OfferedRoute& offer : runtime.offers(given.step.shape, DType::kF16, 16, true)) {
    const bool taken = offer.route == Route::kStream || offer.route == Route::kPaddedBucket;
    EXPECT_EQ(offer.backend.empty(), !taken) << to_string(offer.route);
  }
}

TEST(RuntimeDeviceLengths, BackendsThatTakeNoneAreUnsupported) {
  FakeStep given({100, 200});
  put_on_device(given.step);
  EXPECT_EQ(thrown_by<Unsupported>([&] { (void)Runtime(std::nullopt, {fake("a")}).choose(given.step); }),
            "no backend has a route for this step: a: lengths or block table are on a device, must be on the host but "
            "for none");
  const auto b = fake("b", all_schedules(), {Schedule::kStream});
  EXPECT_EQ(
      thrown_by<Unsupported>(
          [&] { (void)Runtime(std::nullopt, {b}, {.route = Route::kWorkqueue}).choose(given.step); }),
      "route is workqueue, which no backend has for this step: b: lengths or block table are on a device, must be "
      "on the host but for stream");
}

TEST(RuntimeDeviceLengths, BoundsAreTheHintOrWhatTheTableHolds) {
  const auto backend = fake("a", all_schedules(), {Schedule::kWorkqueue, Schedule::kStream});
  Runtime runtime(with_stream(), {backend});
  FakeStep given({1, 2, 3, 4, 5, 6, 7, 8}, 1024);  // pages of 16: 16384 tokens a row
  put_on_device(given.step);
  const auto longest = [&](std::int64_t hint) {
    const Decision decision = runtime.explain(given.step, {hint});
    EXPECT_EQ(decision.step.active_rows, 8);  // any may be
    EXPECT_EQ(decision.step.kv_tokens, 8 * decision.step.longest_row_tokens);
    EXPECT_EQ(decision.choice.route, runtime.choose(given.step, {hint}).route);
    return decision.step.longest_row_tokens;
  };
  EXPECT_EQ(longest(0), 16384);
  EXPECT_EQ(longest(5000), 5000);
  EXPECT_EQ(longest(kMaxRowTokens), 16384);
  EXPECT_THAT(runtime.explain(given.step, {5000}).reason,
              HasSubstr("; lengths are on a device: from bounds, at most 5000 tokens a row"));
  for (const RouteVerdict& v : runtime.explain(given.step, {16383}).routes) {
    if (v.route == Route::kWorkqueue) {
      EXPECT_THAT(v.ruled_out_by, HasSubstr("longest_row_tokens is 16383"));
    } else if (v.route == Route::kPaddedBucket) {
      EXPECT_THAT(v.ruled_out_by, HasSubstr("must be on the host but for workqueue"));
    }
  }
  EXPECT_EQ(thrown_by([&] { (void)runtime.choose(given.step, {-1}); }),
            "hint.max_length_tokens is -1, must be in [0, 1073741824]");
  EXPECT_THROW((void)runtime.choose(given.step, {kMaxRowTokens + 1}), InvalidArgument);

  const RuntimeStep step = runtime.prepare(given.step, {5000});
  EXPECT_TRUE(step.decision().from_bounds);
  EXPECT_EQ(step.explain().step.longest_row_tokens, 5000);
  EXPECT_EQ(runtime.counters().from_bounds, 1);
}

TEST(RuntimeDeviceLengths, OffsetsOnTheDeviceBoundARowByThePool) {
  const Runtime runtime(std::nullopt, {fake("a", all_schedules(), {Schedule::kStream})});
  FakeStep given({100, 200});
  put_on_device(given.step);
  given.step.num_pages = 50;
  given.step.table.row_offsets = {given.step.table.entries.data, 3, IndexType::kI32, MemorySpace::kDevice};
  EXPECT_EQ(runtime.explain(given.step).step.longest_row_tokens, 800);
  given.step.num_pages = std::int64_t{1} << 40;
  EXPECT_EQ(runtime.explain(given.step).step.longest_row_tokens, kMaxRowTokens);
}

TEST(RuntimeDeviceLengths, TablesAloneOnTheDeviceLeaveTheLengthsKnown) {
  const Runtime runtime(with_stream(), {fake("a", all_schedules(), {Schedule::kStream})});
  FakeStep given({100, 200});
  given.step.table.entries.space = MemorySpace::kDevice;
  const RuntimeDecision decision = runtime.choose(given.step, {7});
  EXPECT_EQ(decision.route, Route::kStream);
  EXPECT_FALSE(decision.from_bounds);
  EXPECT_EQ(runtime.explain(given.step).step.kv_tokens, 300);
  EXPECT_THAT(runtime.explain(given.step).reason, HasSubstr("; the block table is on a device"));
}

bool is_on_device(const IndexView& view) { return view.space == MemorySpace::kDevice; }

TEST(RuntimeDeviceLengths, ACopyOnTheHostIsChosenByAndGivenToWhoNeedsIt) {
  FakeStep host({100, 20000});
  Step device = host.step;
  put_on_device(device);
  StepHint hint;
  hint.host_step = &host.step;
  const auto backend = fake("a", all_schedules(), {Schedule::kStream});
  backend->can.own_routes = {Route::kFlashInferCudaCore};
  for (const bool device_table : {false, true}) {
    backend->can.device_table = device_table;
    for (const Route route : {Route::kStream, Route::kWorkqueue, Route::kFlashInferCudaCore}) {
      Runtime runtime(std::nullopt, {backend}, {.route = route});
      const RuntimeStep step = runtime.prepare(device, hint);
      EXPECT_FALSE(step.decision().from_bounds);
      EXPECT_EQ(step.explain().step.kv_tokens, 20100);
    }
    const Step& stream = (backend->asked.end() - 2)->step;
    EXPECT_TRUE(is_on_device(stream.lengths.values) && is_on_device(stream.table.entries));
    const Step& workqueue = backend->asked.back().step;
    EXPECT_FALSE(is_on_device(workqueue.lengths.values));
    EXPECT_EQ(is_on_device(workqueue.table.entries), device_table);
    const Step& own = backend->asked_routes.back().step;
    EXPECT_FALSE(is_on_device(own.lengths.values) || is_on_device(own.table.entries));
  }
  // What the device knows in offsets cannot be read beside a host's.
  device.table.row_offsets = {device.table.entries.data, 3, IndexType::kI32, MemorySpace::kDevice};
  (void)Runtime(std::nullopt, {backend}, {.route = Route::kWorkqueue}).prepare(device, hint);
  EXPECT_FALSE(is_on_device(backend->asked.back().step.table.entries));
}

TEST(RuntimeDeviceLengths, ACopyOfAnotherStepIsRefused) {
  FakeStep host({100, 200});
  const Runtime runtime(std::nullopt, {fake("a", all_schedules(), {Schedule::kStream})});
  Step device = host.step;
  put_on_device(device);
  StepHint hint;
  hint.host_step = &device;
  EXPECT_THAT(thrown_by([&] { (void)runtime.choose(device, hint); }), HasSubstr("must have all in host memory"));
  hint.host_step = &host.step;
  device.page_size = 32;
  EXPECT_THAT(thrown_by([&] { (void)runtime.choose(device, hint); }), HasSubstr("hint.host_step has another shape"));
}

TEST(RuntimeTiles, StreamGetsTheBackendsWhereNobodySaysWhich) {
  const auto backend = fake();
  backend->can.stream_tile_tokens = 16;
  FakeStep given({100, 200});
  const auto tile_of = [&](Route route, int asked) {
    RuntimeOptions options;
    options.route = route;
    options.plan.tile_tokens = asked;
    (void)Runtime(std::nullopt, {backend}, options).prepare(given.step);
    return backend->asked.back().options.tile_tokens;
  };
  EXPECT_EQ(tile_of(Route::kStream, PlanOptions{}.tile_tokens), 16);
  EXPECT_EQ(tile_of(Route::kStream, 64), 64);
  EXPECT_EQ(tile_of(Route::kWorkqueue, PlanOptions{}.tile_tokens), PlanOptions{}.tile_tokens);
}

}  // namespace
}  // namespace pkv
