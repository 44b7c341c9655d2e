// Each of FlashInfer's kernels that is compiled here, and ours around them, once: what a run under compute-sanitizer
// should see.

#include "cuda/paged_problem.hpp"
#include "persistentkv/flashinfer/flashinfer_backend.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace pkv::testing {

namespace {

class EveryKernelOfFlashInfer : public EngineTest, public ::testing::WithParamInterface<Route> {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    if (!IsSkipped()) flashinfer_ = make_flashinfer_backend(GetParam());
  }

  /// Each is a kernel of its own; of tensor cores' only whether 16 rows of Q hold the group.
  static std::vector<int> group_sizes() {
    return GetParam() == Route::kFlashInferTensorCore ? std::vector{4, 20}
                                                      : flashinfer_capabilities(GetParam()).group_sizes;
  }

  Dimensions dimensions(DType dtype, int head_dim, int group_size) {
    Dimensions d;
    d.shape = {.num_q_heads = 2 * group_size, .num_kv_heads = 2, .head_dim = head_dim};
    d.dtype = d.out_dtype = dtype;
    d.batch = 3;
    d.pages_per_row = 40;
    if (GetParam() == Route::kFlashInferTensorCore) d.lse_limit = 4e-3;  // sums of P in 16 bits
    return d;
  }

  /// Through row ids, each row's its own, where `by_ids`.
  void expect_attended(const Dimensions& d, const std::vector<std::int32_t>& lengths, bool by_ids, int merges) {
    PagedProblem problem(d, random_);
    problem.draw(lengths);
    const DeviceIndices<std::int32_t> ids({0, 1, 2});
    Layer layer = problem.device_layer();
    if (by_ids) layer.q.row_ids = layer.out.row_ids = ids.view();
    const auto prepared = flashinfer_->prepare_route(problem.host_step(), GetParam(), {});
    prepared->run(layer, nullptr);
    ASSERT_EQ(problem.disagreement(), "");
    EXPECT_EQ(prepared->executed().merge_launches, merges);
  }

  std::unique_ptr<Backend> flashinfer_;
};

TEST_P(EveryKernelOfFlashInfer, AttendsAndMerges) {
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    for (const int head_dim : flashinfer_capabilities(GetParam()).head_dims) {
      for (const int group_size : group_sizes()) {
        SCOPED_TRACE(::testing::Message() << to_string(dtype) << ", d = " << head_dim << ", G = " << group_size);
        Dimensions d = dimensions(dtype, head_dim, group_size);
        expect_attended(d, {639, 0, 50}, false, 1);
        d.out_dtype = dtype == DType::kF16 ? dtype : DType::kF32;
        expect_attended(d, {100, 16, 50}, true, 0);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Path, EveryKernelOfFlashInfer,
                         ::testing::Values(Route::kFlashInferCudaCore, Route::kFlashInferTensorCore),
                         [](const auto& route) {
                           return route.param == Route::kFlashInferCudaCore ? "CudaCore" : "TensorCore";
                         });

}  // namespace

}  // namespace pkv::testing
