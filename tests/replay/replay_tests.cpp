// What the replay makes of a device's answers.

#include "replay/replay.hpp"

#include "replay/kv_pool.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

namespace pkv::replay {
namespace {

using ::testing::ElementsAre;

constexpr AttentionShape kShape{4, 2, 32};

std::unique_ptr<Workload> small_workload() {
  FamilyOptions family;
  family.family = TraceFamily::kBimodal;
  family.num_requests = 4;
  family.max_active = 2;
  return make_family_workload(family, {});
}

/// Tells times, writes nothing but what it is told to.
class ScriptedDevice final : public ReplayDevice {
 public:
  explicit ScriptedDevice(std::int64_t num_pages) : pool_(kShape, DType::kF16, 16, num_pages, 7) {}

  const KvCacheView& host_kv() const noexcept override { return pool_.view(); }
  void begin_step(const Step& step, const Layer& layer) override {
    step_ = &step;
    layer_ = &layer;
  }
  void warm_up(std::span<const ReplayRoute> routes) override { warmed_up.push_back(routes.size()); }
  double read_limit_us() override { return 5.0; }
  RouteRun run(const ReplayRoute& route) override {
    order.push_back(route.route);
    const auto elements = static_cast<std::size_t>(step_->batch * layer_->out.row_stride);
    std::memset(layer_->out.data, written, elements * 2);
    RouteRun run;
    run.plan_us = 1.0;
    run.time_us = route.route == Route::kStream ? 9.0 : 19.0;
    run.executed.launches = route.route == Route::kStream ? 1 : 2;
    return run;
  }
  std::string cache_state() const override { return "as scripted"; }

  int written = 0;
  std::vector<std::size_t> warmed_up;
  std::vector<Route> order;

 private:
  KvPool pool_;
  const Step* step_ = nullptr;
  const Layer* layer_ = nullptr;
};

ReplayOptions two_routes() {
  ReplayOptions options;
  options.shape = kShape;
  options.routes = {{Route::kWorkqueue, {}}, {Route::kStream, {}}};
  options.max_steps = 3;
  return options;
}

TEST(RunReplay, RoutesTakeTurnsAndTimesAddUp) {
  const std::unique_ptr<Workload> workload = small_workload();
  ScriptedDevice device(workload->num_pages());
  const ReplayResult result = run_replay(*workload, device, two_routes());
  EXPECT_EQ(result.steps, 3);
  EXPECT_THAT(device.warmed_up, ElementsAre(2U));
  EXPECT_THAT(device.order, ElementsAre(Route::kWorkqueue, Route::kStream, Route::kStream, Route::kWorkqueue,
                                        Route::kWorkqueue, Route::kStream));
  ASSERT_EQ(result.routes.size(), 2U);
  const RouteResult& stream = result.routes[1];
  EXPECT_EQ(stream.name, "stream");
  EXPECT_EQ(stream.time_us.mean, 9.0);
  EXPECT_EQ(stream.plan_us.mean, 1.0);
  EXPECT_EQ(stream.step_us.mean, 10.0);
  EXPECT_EQ(stream.limit_us, 5.0);
  EXPECT_EQ(stream.executed.launches, 3);
  EXPECT_NEAR(stream.tokens_per_s, static_cast<double>(result.rows) / 30e-6, 1e-3);
  EXPECT_EQ(result.routes[0].executed.launches, 6);
  EXPECT_EQ(result.routes[0].time_us.mean, 19.0);
}

TEST(RunReplay, WhatADeviceDidNotComputeIsFound) {
  for (const int written : {0, 0xff}) {  // zeros; NaN
    const std::unique_ptr<Workload> workload = small_workload();
    ScriptedDevice device(workload->num_pages());
    device.written = written;
    ReplayOptions options = two_routes();
    options.check_every = 2;
    const ReplayResult result = run_replay(*workload, device, options);
    EXPECT_THAT(result.checked_steps, ElementsAre(0, 2));
    for (const RouteResult& route : result.routes)
      EXPECT_NE(why_inaccurate(route.accuracy, accuracy_bounds(DType::kF16)), "") << route.name;
  }
}

}  // namespace
}  // namespace pkv::replay
