// Real steps on the GPU: every route serves all tokens, and what it computes is right.

#include "cuda_serving/cuda_platform.hpp"

#include "batching/vector_source.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/policy/profile_io.hpp"
#include "serving/serve.hpp"

#include <gtest/gtest.h>

#include <random>

namespace pkv::cuda_serving {
namespace {

using serving::ServingOptions;
using serving::ServingResult;
using testing::VectorSource;

class CudaPlatformTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (cuda_device_count() == 0) GTEST_SKIP() << "needs a GPU";
    options_.shape = {.num_q_heads = 8, .num_kv_heads = 2, .head_dim = 128};
    options_.batching = {.max_active = 9, .num_pages = 2000, .share_prefixes = true, .shuffle_seed = 3};
    options_.traffic.prefill.rule = serving::PrefillRule::kNone;
    options_.checks = 1000;
    options_.check_every = 1;
    options_.limit_every = 5;
    std::mt19937 random(std::random_device{}());
    for (int i = 0; i < 25; ++i) {
      const std::int64_t prompt = 1 + static_cast<std::int64_t>(random() % 3000);
      requests_.push_back({prompt,
                           1 + static_cast<std::int64_t>(random() % 20),
                           i * 300,
                           {1, 2 + static_cast<int>(random() % 2), 5, 6, 7, 8}});
    }
  }

  [[nodiscard]] std::unique_ptr<serving::ServingPlatform> platform() const {
    CudaServingOptions options;
    options.routed.shape = options_.shape;
    options.routed.num_pages = options_.batching.num_pages;
    options.routed.profile = find_profile("rtx3060-paper");  // of another GPU, if not by chance: the safe route
    options.max_active = options_.batching.max_active;
    options.run_layers = 3;
    return make_cuda_platform(make_cuda_backend(), {}, options);
  }

  ServingOptions options_;
  std::vector<Request> requests_;
};

TEST_F(CudaPlatformTest, EveryRouteServesAllAndRightly) {
  const auto gpu = platform();
  for (const Route route : {Route::kPolicy, Route::kExactBuckets, Route::kCoarseBuckets, Route::kPaddedBucket,
                            Route::kSequenceSplit, Route::kWorkqueue, Route::kWorkqueueFused, Route::kStream}) {
    VectorSource source(requests_, ArrivalUnit::kMicroseconds);
    const ServingResult r = run_serving(source, *gpu->executor(route), route, options_);
    EXPECT_EQ(r.counts.finished, 25) << to_string(route);
    EXPECT_EQ(r.checked_steps, r.counts.steps) << to_string(route);
    EXPECT_LE(r.relative_error, 1e-3) << to_string(route);
    EXPECT_GT(r.counts.shared_tokens, 0) << to_string(route);
    EXPECT_GT(r.attention_us, 0.0) << to_string(route);
    EXPECT_GT(r.limit_us, 0.0) << to_string(route);
    EXPECT_EQ(r.executed_steps, r.counts.steps) << to_string(route);
  }
}

TEST_F(CudaPlatformTest, PoolsThatDoNotFitAreRefused) {
  CudaServingOptions options;
  options.routed.shape = options_.shape;
  options.routed.num_pages = std::int64_t{1} << 27;
  options.run_layers = 1000;
  EXPECT_THROW((void)make_cuda_platform(make_cuda_backend(), {}, options), InvalidArgument);
  options.run_layers = 0;
  EXPECT_THROW((void)make_cuda_platform(make_cuda_backend(), {}, options), InvalidArgument);
}

}  // namespace
}  // namespace pkv::cuda_serving
