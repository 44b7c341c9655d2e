// Real steps on the CPU: every route serves all tokens, and what it computes is right.

#include "serving/host_platform.hpp"

#include "batching/vector_source.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/cpu/cpu_backend.hpp"
#include "persistentkv/policy/profile_io.hpp"
#include "replay/accuracy.hpp"
#include "serving/serve.hpp"

#include <gtest/gtest.h>

#include <random>

namespace pkv::serving {
namespace {

using testing::VectorSource;

TEST(HostPlatform, EveryRouteServesAllAndRightly) {
  std::mt19937 random(std::random_device{}());
  std::vector<Request> requests(12);
  for (Request& request : requests) {
    const std::int64_t prompt = 1100 + static_cast<std::int64_t>(random() % 60);
    request = {prompt, 1 + static_cast<std::int64_t>(random() % 6), 0, {1, 2 + static_cast<int>(random() % 2), 9}};
  }
  ServingOptions options;
  options.shape = {.num_q_heads = 4, .num_kv_heads = 1, .head_dim = 32};
  options.batching = {.max_active = 5, .num_pages = 600, .share_prefixes = true, .shuffle_seed = 3};
  options.traffic.prefill.rule = PrefillRule::kNone;
  options.checks = 1000;
  options.check_every = 1;
  options.limit_every = 1;
  RoutedOptions routed{.shape = options.shape, .num_pages = 600, .profile = find_profile("rtx3060-paper")};
  const auto platform = make_host_platform(make_cpu_backend({.num_threads = 2, .simd_target = {}}), routed, 2, "cpu");
  for (const Route route : {Route::kPolicy, Route::kExactBuckets, Route::kCoarseBuckets, Route::kPaddedBucket,
                            Route::kSequenceSplit, Route::kWorkqueue, Route::kWorkqueueFused, Route::kStream}) {
    VectorSource source(requests, ArrivalUnit::kMicroseconds);
    const ServingResult r = run_serving(source, *platform->executor(route), route, options);
    EXPECT_EQ(r.counts.finished, 12) << to_string(route);
    EXPECT_EQ(r.checked_steps, r.counts.steps) << to_string(route);
    EXPECT_LE(r.relative_error, replay::accuracy_bounds(DType::kF16).relative_l2) << to_string(route);
    EXPECT_GT(r.counts.shared_tokens, 0);
    EXPECT_GT(r.attention_us, 0.0);
    EXPECT_GT(r.limit_us, 0.0);
    if (route == Route::kPolicy) continue;
    EXPECT_EQ(r.steps_by_route[static_cast<std::size_t>(route)], r.counts.steps) << to_string(route);
  }
}

TEST(HostPlatform, SaysWhichRoutesItHasNot) {
  RoutedOptions routed{.shape = {4, 1, 32}, .num_pages = 16};
  const auto platform = make_host_platform(make_cpu_backend({.num_threads = 1, .simd_target = {}}), routed, 1, "cpu");
  EXPECT_EQ(platform->why_not(Route::kStream), "");
  EXPECT_NE(platform->why_not(Route::kFlashInferCudaCore), "");
  EXPECT_THROW((void)platform->executor(Route::kFlashInferCudaCore), Unsupported);
  routed.shape.head_dim = 24;
  EXPECT_THROW((void)make_host_platform(make_cpu_backend({.num_threads = 1, .simd_target = {}}), routed, 1, "cpu"),
               Unsupported);
}

}  // namespace
}  // namespace pkv::serving
