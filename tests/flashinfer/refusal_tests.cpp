// What FlashInfer cannot do, in words; most of it needs no GPU.

#include "cuda/paged_problem.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/flashinfer/flashinfer_backend.hpp"
#include "support/thrown.hpp"

#include <gmock/gmock.h>

namespace pkv::testing {

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing_support::thrown_by;

TEST(FlashInferCapabilities, EachPathSaysWhatItServes) {
  const Capabilities cores = flashinfer_capabilities(Route::kFlashInferCudaCore);
  const Capabilities tensors = flashinfer_capabilities(Route::kFlashInferTensorCore);
  EXPECT_THAT(cores.own_routes, ElementsAre(Route::kFlashInferCudaCore));
  EXPECT_THAT(tensors.own_routes, ElementsAre(Route::kFlashInferTensorCore));
  for (const Capabilities* can : {&cores, &tensors}) {
    EXPECT_TRUE(can->schedules.empty() && can->device_lengths.empty() && !can->any_plan);
    for (const DType dtype : {DType::kF16, DType::kBF16})
      for (const int head_dim : {64, 128, 256})
        for (const int group : {1, 2, 4, 8}) EXPECT_EQ(can->why_not({2 * group, 2, head_dim}, dtype, 1), "");
    EXPECT_EQ(can->why_not({8, 2, 80}, DType::kF16, 16), "head_dim is 80, must be one of 64, 128, 256");
    EXPECT_EQ(can->why_not({8, 2, 128}, DType::kF32, 16), "dtype is fp32, must be one of fp16, bf16");
  }
  EXPECT_EQ(cores.why_not({10, 2, 128}, DType::kF16, 16),
            "num_q_heads / num_kv_heads is 5, must be one of 1, 2, 3, 4, 6, 8, 16");
  EXPECT_EQ(tensors.why_not({10, 2, 128}, DType::kF16, 16), "");
  EXPECT_EQ(tensors.why_not({65, 1, 128}, DType::kF16, 16), "num_q_heads / num_kv_heads is 65, must be at most 64");
}

TEST(FlashInferCapabilities, OtherRoutesAreNotFlashInfers) {
  for (const Route route : {Route::kStream, Route::kPolicy}) {
    EXPECT_THAT(thrown_by([&] { (void)flashinfer_capabilities(route); }),
                HasSubstr("must be one of flashinfer-cuda-core, flashinfer-tensor-core"));
    EXPECT_THAT(thrown_by([&] { (void)make_flashinfer_backend(route); }), HasSubstr("route is"));
  }
}

TEST(FlashInferCapabilities, WithoutAGpuTheBackendSaysSo) {
  if (cuda_device_count() > 0) GTEST_SKIP() << "there is a GPU";
  EXPECT_THAT(thrown_by<CudaError>([] { (void)make_flashinfer_backend(Route::kFlashInferCudaCore); }),
              HasSubstr("no CUDA device"));
}

class FlashInferRefusals : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    if (IsSkipped()) return;
    flashinfer_ = make_flashinfer_backend(Route::kFlashInferCudaCore);
    problem_ = std::make_unique<PagedProblem>(Dimensions{.batch = 3, .pages_per_row = 4}, random_);
    problem_->draw(std::vector<std::int32_t>{64, 0, 17});
  }
  template <class ErrorType = Unsupported>
  std::string refused_step(const Step& step, Route route = Route::kFlashInferCudaCore) {
    return thrown_by<ErrorType>([&] { (void)flashinfer_->prepare_route(step, route, {}); });
  }

  std::unique_ptr<Backend> flashinfer_;
  std::unique_ptr<PagedProblem> problem_;
};

TEST_F(FlashInferRefusals, Steps) {
  EXPECT_EQ(refused_step(problem_->device_step()),
            "lengths are on the device, must be in host memory for FlashInfer's planner");
  Step step = problem_->device_step();
  step.lengths = problem_->host_step().lengths;
  EXPECT_EQ(refused_step(step),
            "page_table.entries are on the device, must be in host memory for FlashInfer's planner");
  step = problem_->host_step();
  step.shape.head_dim = 96;
  EXPECT_EQ(refused_step(step), "head_dim is 96, must be one of 64, 128, 256");
  EXPECT_EQ(refused_step(problem_->host_step(), Route::kFlashInferTensorCore),
            "route is flashinfer-tensor-core, which backend flashinfer-cuda-core does not have");
  EXPECT_EQ(refused_step(problem_->host_step(), Route::kStream),
            "schedule is stream, FlashInfer has plans of its own only");
}

TEST_F(FlashInferRefusals, Layers) {
  const auto prepared = flashinfer_->prepare_route(problem_->host_step(), Route::kFlashInferCudaCore, {});
  problem_->poison_outputs();
  const auto refused = [&](const auto& spoil) {
    Layer layer = problem_->device_layer();
    spoil(layer);
    return thrown_by<Unsupported>([&] { prepared->run(layer); });
  };
  EXPECT_THAT(refused([](Layer& l) { l.kv.v.page_stride *= 2; }), HasSubstr("must be the same for FlashInfer"));
  EXPECT_THAT(refused([](Layer& l) { l.kv.k.page_stride = l.kv.v.page_stride = std::int64_t{1} << 32; }),
              HasSubstr("k.page_stride is 4294967296, must be below 4294967296"));
  EXPECT_EQ(problem_->download(), "");
  for (int row = 0; row < 3; ++row) EXPECT_TRUE(problem_->row_is_poison(row));
}

}  // namespace

}  // namespace pkv::testing
