// Every window on a GPU: times that are some, results that are right, counters of what ran.

#include "cuda_reproduce/cuda_measure.hpp"

#include "persistentkv/core/error.hpp"
#include "persistentkv/cuda/cuda_backend.hpp"
#include "reproduce/accuracy.hpp"
#include "reproduce/trace_steps.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace pkv::cuda_reproduce {
namespace {

using namespace pkv::reproduce;

constexpr AttentionShape kShape{.num_q_heads = 16, .num_kv_heads = 4, .head_dim = 128};

class CudaMeasureTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (cuda_device_count() == 0) GTEST_SKIP() << "needs a GPU";
    bench_ = make_cuda_measure({.kv_bytes = 256ll << 20, .more_backends = {}, .profile = std::nullopt});
  }

  const std::vector<std::int32_t> lengths_{3000, 0, 17, 900};
  const Rotation rotation_{lengths_, kShape, 1, 1000};
  std::unique_ptr<Bench> bench_;
};

TEST_F(CudaMeasureTest, EveryWindowTakesTimeAndEveryRouteIsRight) {
  BenchStep step = rotation_.steps().front();
  const std::vector<std::int32_t> q_row{7, 2, 5, 0};
  step.q_row = q_row;
  step.num_q_rows = 9;
  bench_->begin_step(step);
  EXPECT_GT(bench_->limit_us(), 0.0);
  const std::vector<double> exact = expected_row(step.step, 3, bench_->row(3));
  for (const Route route : {Route::kStream, Route::kWorkqueue, Route::kWorkqueueFused, Route::kSequenceSplit,
                            Route::kExactBuckets, Route::kPolicy}) {
    const RouteSpec spec{route, 0};
    for (const bool planned_inside : {false, true}) {
      for (const RowAccess rows :
           {RowAccess::kDense, RowAccess::kByIds, RowAccess::kGathered, RowAccess::kGatheredAndScattered}) {
        const WindowTimes times = bench_->time(spec, {.planned_inside = planned_inside, .rows = rows}, 3);
        EXPECT_GT(times.event_us, 0.0);
        EXPECT_GT(times.wall_us, 0.0);
        EXPECT_EQ(times.plan_us > 0.0, planned_inside);
      }
    }
    const WindowTimes queued = bench_->time(spec, kLayerAlone, 3);
    EXPECT_GT(queued.event_us, 0.0);
    EXPECT_EQ(queued.wall_us, 0.0);

    EXPECT_GT(bench_->run(spec).launches, 0);
    const std::vector<float> out = bench_->output();
    ASSERT_EQ(out.size(), 4U * 16U * 128U);
    Errors errors;
    errors.add<float, double>(std::span(out).last(exact.size()), exact);
    EXPECT_LE(errors.max, kMaxErrorGate) << label(spec);
    EXPECT_LE(errors.mean(), kMeanErrorGate) << label(spec);
    for (std::size_t i = 16 * 128; i < 2 * 16 * 128; ++i) ASSERT_EQ(out[i], 0.0F) << "an empty row";
  }
}

TEST_F(CudaMeasureTest, LayersTakeTurns) {
  for (const RouteSpec& spec : {RouteSpec{Route::kStream, 0}, RouteSpec{Route::kWorkqueue, 8}})
    for (const bool graph : {false, true})
      EXPECT_GT(bench_->layer_us(rotation_.steps(), spec, {.layers = 5, .graph = graph}), 0.0);
}

TEST_F(CudaMeasureTest, AnMlpMakesALayerLonger) {
  const LayerLoop loop{.layers = 4, .with_mlp = true};
  try {
    EXPECT_GT(bench_->layer_us(rotation_.steps(), {Route::kStream, 0}, loop), 0.9 * bench_->mlp_us(4, loop));
  } catch (const Unsupported& error) {
    GTEST_SKIP() << error.what();
  }
}

TEST_F(CudaMeasureTest, RefusesWhatHasNoRoom) {
  BenchStep step = rotation_.steps().front();
  step.step.num_pages = 1 << 20;
  EXPECT_THROW(bench_->begin_step(step), InvalidArgument);
  step = rotation_.steps().front();
  step.num_q_rows = 1 << 20;
  EXPECT_THROW(bench_->begin_step(step), InvalidArgument);
  EXPECT_THROW((void)make_cuda_measure({.kv_bytes = 1ll << 50, .more_backends = {}, .profile = std::nullopt}),
               InvalidArgument);
  EXPECT_FALSE(bench_->why_not(Route::kFlashInferCudaCore, kShape, 16).empty());
}

}  // namespace
}  // namespace pkv::cuda_reproduce
