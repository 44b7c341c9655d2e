// FlashInfer's steps where the conformance suite does not go: in graphs, chained, many at a time, with errors on the
// device, and behind the runtime.

#include "cuda/paged_problem.hpp"
#include "persistentkv/flashinfer/flashinfer_backend.hpp"
#include "persistentkv/runtime/runtime.hpp"

#include <gtest/gtest.h>

namespace pkv::testing {

namespace {

constexpr Route kRoutes[] = {Route::kFlashInferCudaCore, Route::kFlashInferTensorCore};

class FlashInfer : public EngineTest, public ::testing::WithParamInterface<Route> {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    if (!IsSkipped()) flashinfer_ = make_flashinfer_backend(GetParam());
  }
  std::unique_ptr<CudaPreparedStep> prepare_here(const Step& step) {
    std::unique_ptr<PreparedStep> prepared = flashinfer_->prepare_route(step, GetParam(), {});
    auto* step_on_gpu = dynamic_cast<CudaPreparedStep*>(prepared.get());
    if (step_on_gpu == nullptr) throw std::runtime_error("not a CudaPreparedStep");
    (void)prepared.release();
    return std::unique_ptr<CudaPreparedStep>(step_on_gpu);
  }
  /// The tensor-core path's sums are those of P in 16 bits.
  static Dimensions of_path() {
    Dimensions dimensions;
    if (GetParam() == Route::kFlashInferTensorCore) dimensions.lse_limit = 1e-3;
    return dimensions;
  }
  /// LSE in base 2, which FlashInfer writes by itself.
  static Layer plain_layer(const PagedProblem& problem) {
    Layer layer = problem.device_layer();
    layer.lse.reset();
    return layer;
  }

  std::unique_ptr<Backend> flashinfer_;
};

/// A graph repeats the plan, over whatever K, V and q are by then.
TEST_P(FlashInfer, GraphsReplayAlsoChained) {
  for (const std::int64_t batch : {1, 5, 40}) {
    for (const bool pdl : {false, true}) {
      SCOPED_TRACE(::testing::Message() << "batch " << batch << ", PDL " << pdl);
      Dimensions dimensions = of_path();
      dimensions.batch = batch;
      dimensions.pages_per_row = batch == 1 ? 300 : 40;
      dimensions.shape = {.num_q_heads = 8, .num_kv_heads = batch == 5 ? 8 : 2, .head_dim = batch == 5 ? 64 : 128};
      PagedProblem problem(dimensions, random_);
      problem.draw(problem.random_lengths(dimensions.capacity_tokens()));
      const auto prepared = prepare_here(problem.host_step());
      EXPECT_FALSE(prepared->replays_with_other_lengths());
      const Stream stream;
      const Graph graph(stream, [&] {
        for (int layer = 0; layer < 3; ++layer)
          prepared->run(problem.device_layer(), stream, {.programmatic_dependent_launch = pdl});
      });
      for (int i = 0; i < 2; ++i) {
        problem.poison_outputs();
        graph.launch();
        stream.wait();
        ASSERT_EQ(problem.disagreement(), "");
      }
      EXPECT_FALSE(prepared->take_errors(stream).any());
    }
  }
}

/// Memory goes from step to step; what is alive keeps its own.
TEST_P(FlashInfer, WorkspacesAreReusedButNeverShared) {
  Dimensions dimensions = of_path();
  dimensions.batch = 4;
  dimensions.pages_per_row = 60;
  PagedProblem first(dimensions, random_);
  PagedProblem second(dimensions, random_);
  first.draw(first.random_lengths(900));
  second.draw(second.random_lengths(900));
  const auto kept = prepare_here(first.host_step());
  for (int i = 0; i < 3; ++i) {
    const auto other = prepare_here(second.host_step());
    for (PagedProblem* problem : {&first, &second}) problem->poison_outputs();
    check(cudaDeviceSynchronize());
    kept->run(first.device_layer(), nullptr);
    other->run(second.device_layer(), nullptr);
    check(cudaDeviceSynchronize());
    ASSERT_EQ(first.disagreement(), "");
    ASSERT_EQ(second.disagreement(), "");
  }
}

/// Plans are on their way to the device when prepare_route() returns, some of them for nobody.
TEST_P(FlashInfer, PlansArriveBeforeTheyAreUsed) {
  Dimensions dimensions = of_path();
  dimensions.batch = 64;
  dimensions.pages_per_row = 100;
  PagedProblem problem(dimensions, random_);
  const Stream streams[2];
  for (int i = 0; i < 6; ++i) {
    problem.draw(problem.random_lengths(1600));
    problem.poison_outputs();
    check(cudaDeviceSynchronize());
    (void)prepare_here(problem.host_step());
    const auto prepared = prepare_here(problem.host_step());
    prepared->run(problem.device_layer(), streams[i % 2]);
    streams[i % 2].wait();
    ASSERT_EQ(problem.disagreement(), "");
    problem.poison_outputs();
    check(cudaDeviceSynchronize());
    prepared->run(problem.device_layer(), streams[1 - i % 2]);
    streams[1 - i % 2].wait();
    ASSERT_EQ(problem.disagreement(), "");
  }
}

/// Dense tensors and no empty rows: FlashInfer's kernels alone. Anything else costs a kernel before or after.
TEST_P(FlashInfer, CountsWhatWasLaunched) {
  PagedProblem problem({.batch = 1, .pages_per_row = 600}, random_);
  problem.draw(std::vector<std::int32_t>{9600});
  const auto prepared = prepare_here(problem.host_step());
  prepared->run(plain_layer(problem), nullptr);
  EXPECT_EQ(prepared->executed().launches, 2) << "a long row alone is split";
  EXPECT_EQ(prepared->executed().merge_launches, 1);
  EXPECT_EQ(prepared->executed().kv_tokens, 9600 * 2);
  EXPECT_GT(prepared->executed().partials, 8);
  prepared->run(problem.device_layer(), nullptr);  // with LSE in base e
  EXPECT_EQ(prepared->executed().launches, 3);
  check(cudaDeviceSynchronize());
}

TEST_P(FlashInfer, RowIdsOutOfRangeAreReported) {
  PagedProblem problem({.batch = 3, .pages_per_row = 4}, random_);
  problem.draw(std::vector<std::int32_t>{64, 5, 17});
  const auto prepared = prepare_here(problem.host_step());
  const DeviceIndices<std::int64_t> ids({0, 3, 2});
  for (const bool of_out : {false, true}) {
    Layer layer = problem.device_layer();
    (of_out ? layer.out.row_ids : layer.q.row_ids) = ids.view();
    problem.poison_outputs();
    check(cudaDeviceSynchronize());
    prepared->run(layer, nullptr);
    EXPECT_TRUE(prepared->take_errors(nullptr).row_id_out_of_range);
    EXPECT_FALSE(prepared->take_errors(nullptr).any()) << "cleared by the first";
    EXPECT_EQ(problem.download(), "");
    EXPECT_EQ(problem.row_is_poison(1), of_out);
  }
}

TEST_P(FlashInfer, IsOfferedByTheRuntime) {
  Runtime runtime(std::nullopt, {std::shared_ptr(std::move(backend_)), std::shared_ptr(std::move(flashinfer_))},
                  {.route = GetParam()});
  Dimensions dimensions = of_path();
  dimensions.batch = 3;
  dimensions.pages_per_row = 8;
  PagedProblem problem(dimensions, random_);
  problem.draw(std::vector<std::int32_t>{100, 1, 17});
  RuntimeStep ready = runtime.prepare(problem.host_step());
  EXPECT_EQ(ready.decision().route, GetParam());
  problem.poison_outputs();
  check(cudaDeviceSynchronize());
  ready.run(problem.device_layer());
  EXPECT_EQ(problem.disagreement(), "");
}

INSTANTIATE_TEST_SUITE_P(Path, FlashInfer, ::testing::ValuesIn(kRoutes), [](const auto& route) {
  return route.param == Route::kFlashInferCudaCore ? "CudaCore" : "TensorCore";
});

}  // namespace

}  // namespace pkv::testing
