// The clock and what requests see of it, against numbers computed by hand.

#include "serving/serve.hpp"

#include "batching/vector_source.hpp"
#include "persistentkv/core/error.hpp"
#include "scripted.hpp"
#include "serving/sampled_executor.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <random>

namespace pkv::serving {
namespace {

using testing::VectorSource;
using testing_support::ScriptedExecutor;
using testing_support::small_options;
using testing_support::ten_a_row;

/// The first alone for a step of 2 * (10 + 3) + 1 = 27 us, then both for two of 2 * (20 + 5) + 1 = 51.
std::vector<Request> two_requests() { return {{32, 3, 0, {}}, {16, 2, 20, {}}}; }

ServingResult serve(const std::vector<Request>& requests, const ServingOptions& options,
                    ArrivalUnit unit = ArrivalUnit::kMicroseconds) {
  VectorSource source(requests, unit);
  ScriptedExecutor executor(ten_a_row);
  return run_serving(source, executor, Route::kStream, options);
}

TEST(Serving, StepsAndRequestsLastWhatTheRuleSays) {
  const ServingResult r = serve(two_requests(), small_options());
  EXPECT_EQ(r.counts.steps, 3);
  EXPECT_EQ(r.counts.decoded_tokens, 5);
  EXPECT_EQ(r.counts.finished, 2);
  EXPECT_DOUBLE_EQ(r.duration_us, 129.0);
  EXPECT_DOUBLE_EQ(r.busy_us, 129.0);
  EXPECT_DOUBLE_EQ(r.tokens_per_s(), 5e6 / 129.0);
  EXPECT_EQ(r.step_us.statistics.p50, 51.0);
  EXPECT_EQ(r.step_us.statistics.min, 27.0);
  EXPECT_EQ(r.time_to_first_token_us.statistics.min, 27.0);    // the first: 0 to 27
  EXPECT_EQ(r.time_to_first_token_us.statistics.max, 58.0);    // the second: 20 to 78
  EXPECT_EQ(r.time_per_output_token_us.statistics.min, 51.0);  // (129 - 27) / 2
  EXPECT_EQ(r.time_per_output_token_us.statistics.max, 51.0);  // 129 - 78
  EXPECT_EQ(r.queue_wait_us.statistics.max, 7.0);              // 20 to 27
  EXPECT_DOUBLE_EQ(r.attention_us, 50.0 / 3);
  EXPECT_DOUBLE_EQ(r.mlp_us, 13.0 / 3);
  EXPECT_EQ(r.plan_us, 1.0);
  EXPECT_EQ(r.steps_by_route[static_cast<std::size_t>(Route::kStream)], 3);
  EXPECT_EQ(r.executed_steps, 3);
}

TEST(Serving, KvUseIsWeightedByTime) {
  const ServingResult r = serve(two_requests(), small_options());
  // Pages: 2, then 3 and 1, then 3 and 2; promised 3, then 3 and 2.
  EXPECT_DOUBLE_EQ(r.kv.used, (27.0 * 2 + 51.0 * 4 + 51.0 * 5) / 8 / 129);
  EXPECT_DOUBLE_EQ(r.kv.promised, (27.0 * 3 + 51.0 * 5 + 51.0 * 5) / 8 / 129);
  EXPECT_DOUBLE_EQ(r.kv.filled, (27.0 * 32 / 32 + 51.0 * 49 / 64 + 51.0 * 51 / 80) / 129);
}

TEST(Serving, PromptsElsewhereDelayTheirOwnRequestAlone) {
  ServingOptions options = small_options();
  options.traffic.prefill.rule = PrefillRule::kSeparate;  // a token a microsecond: ready at 32 and 36
  const ServingResult r = serve(two_requests(), options);
  EXPECT_DOUBLE_EQ(r.duration_us, 129.0);  // from 32
  EXPECT_EQ(r.time_to_first_token_us.statistics.min, 59.0);
  EXPECT_EQ(r.time_to_first_token_us.statistics.max, 90.0);  // 20 to 110
  EXPECT_EQ(r.queue_wait_us.statistics.max, 23.0);           // 36 to 59
  EXPECT_EQ(r.time_per_output_token_us.statistics.max, 51.0);
}

TEST(Serving, PromptsHereDelayEverybody) {
  ServingOptions options = small_options();
  options.traffic.prefill.rule = PrefillRule::kInline;  // 27 + 32, 51 + 16, 51
  const ServingResult r = serve(two_requests(), options);
  EXPECT_DOUBLE_EQ(r.duration_us, 177.0);
  EXPECT_EQ(r.time_to_first_token_us.statistics.min, 59.0);
  EXPECT_EQ(r.time_to_first_token_us.statistics.max, 106.0);   // 20 to 126
  EXPECT_EQ(r.time_per_output_token_us.statistics.max, 59.0);  // (177 - 59) / 2
  EXPECT_EQ(r.prefilled_tokens, 48);
}

TEST(Serving, IdleTimeIsTimeButNotBusy) {
  const ServingResult r = serve({{16, 1, 0, {}}, {16, 1, 1000, {}}}, small_options());
  EXPECT_DOUBLE_EQ(r.busy_us, 54.0);
  EXPECT_DOUBLE_EQ(r.duration_us, 1027.0);
  EXPECT_EQ(r.time_per_output_token_us.count, 0);  // neither has a second token
  EXPECT_EQ(r.time_to_first_token_us.count, 2);
}

TEST(Serving, ArrivalsMayCountSteps) {
  const ServingResult r = serve({{32, 3, 0, {}}, {16, 2, 1, {}}}, small_options(), ArrivalUnit::kSteps);
  EXPECT_EQ(r.queue_wait_us.statistics.max, 0.0);
  EXPECT_EQ(r.time_to_first_token_us.statistics.max, 51.0);  // step 1 began at 27
}

TEST(Serving, LimitsAndChecksAreAskedForInTurn) {
  ServingOptions options = small_options();
  options.limit_every = 2;
  options.check_every = 2;
  options.checks = 1;
  VectorSource source(two_requests(), ArrivalUnit::kMicroseconds);
  ScriptedExecutor executor(ten_a_row);
  const ServingResult r = run_serving(source, executor, Route::kStream, options);
  ASSERT_EQ(executor.asked.size(), 3U);
  EXPECT_TRUE(executor.asked[0].limit && !executor.asked[1].limit && executor.asked[2].limit);
  EXPECT_TRUE(executor.asked[0].check && !executor.asked[1].check && !executor.asked[2].check);
  EXPECT_EQ(r.limit_steps, 2);
  EXPECT_EQ(r.limit_attention_us, 15.0);  // 10 and 20
  EXPECT_EQ(r.limit_us, 7.5);
  EXPECT_EQ(r.checked_steps, 1);
  EXPECT_EQ(r.relative_error, 1e-4);
}

TEST(Serving, StepsThatEndTheRunLeaveRequestsActive) {
  ServingOptions options = small_options();
  options.max_steps = 2;
  const ServingResult r = serve(two_requests(), options);
  EXPECT_EQ(r.counts.steps, 2);
  EXPECT_EQ(r.active, 2);
  EXPECT_EQ(r.time_to_first_token_us.count, 0);
}

TEST(Serving, ErrorsOfAProfileAreOfMeasuredSteps) {
  VectorSource source(two_requests(), ArrivalUnit::kMicroseconds);
  ScriptedExecutor executor([](const StepView& step) {
    StepTimes times = ten_a_row(step);
    times.model_attention_us = 11.0 * static_cast<double>(step.rows.size());
    return times;
  });
  const ServingResult r = run_serving(source, executor, Route::kStream, small_options());
  ASSERT_EQ(r.model_attention_errors.size(), 3U);
  EXPECT_NEAR(r.model_attention_errors[0], 0.1, 1e-12);
  EXPECT_NEAR(r.model_step_errors[0], 2.0 / 27, 1e-12);
  EXPECT_NEAR(r.model_step_errors[2], 4.0 / 51, 1e-12);
}

TEST(Sampling, ScalesByTokensWhereNobodyKnowsBetter) {
  std::int64_t runs = 0;
  auto inner = std::make_unique<ScriptedExecutor>([&](const StepView& step) {
    ++runs;
    StepTimes times;
    times.attention_us = 2.0 * std::accumulate(step.lengths.begin(), step.lengths.end(), 0.0);
    times.plan_us = 1.0;
    return times;
  });
  SampledExecutor sampled(std::move(inner), 3, nullptr, Route::kStream);
  VectorSource source({{20, 7, 0, {}}, {16, 5, 20, {}}}, ArrivalUnit::kMicroseconds);
  const ServingResult sparse = run_serving(source, sampled, Route::kStream, small_options());
  EXPECT_EQ(runs, (sparse.counts.steps + 2) / 3);
  EXPECT_EQ(sparse.executed_steps, runs);

  ScriptedExecutor all([](const StepView& step) {
    StepTimes times;
    times.attention_us = 2.0 * std::accumulate(step.lengths.begin(), step.lengths.end(), 0.0);
    times.plan_us = 1.0;
    return times;
  });
  VectorSource again({{20, 7, 0, {}}, {16, 5, 20, {}}}, ArrivalUnit::kMicroseconds);
  const ServingResult dense = run_serving(again, all, Route::kStream, small_options());
  EXPECT_DOUBLE_EQ(sparse.duration_us, dense.duration_us);  // where times are in proportion, nothing is lost
}

TEST(Serving, EveryTokenOfRandomTrafficIsServedOnce) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 40; ++round) {
    std::vector<Request> requests(1 + random() % 50);
    std::int64_t now = 0;
    std::int64_t tokens = 0;
    for (Request& request : requests) {
      now += static_cast<std::int64_t>(random() % 300);
      request = {1 + static_cast<std::int64_t>(random() % 60), 1 + static_cast<std::int64_t>(random() % 20), now, {}};
      tokens += request.decode_tokens;
    }
    ServingOptions options = small_options();
    options.batching.max_active = 1 + static_cast<std::int64_t>(random() % 6);
    options.batching.shuffle_seed = random();
    options.traffic.prefill.rule = static_cast<PrefillRule>(random() % 3);
    double busy = 0.0;
    options.progress = [&](std::int64_t) { busy += 1.0; };
    const ServingResult r = serve(requests, options);
    EXPECT_EQ(r.counts.decoded_tokens, tokens);
    EXPECT_EQ(r.counts.finished, static_cast<std::int64_t>(requests.size()));
    EXPECT_EQ(r.time_to_first_token_us.count, r.counts.finished);
    EXPECT_EQ(r.step_us.count, r.counts.steps);
    EXPECT_EQ(busy, static_cast<double>(r.counts.steps));
    EXPECT_LE(r.busy_us, r.duration_us * (1 + 1e-12));
    EXPECT_GE(r.queue_wait_us.statistics.min, 0.0);
    EXPECT_LE(r.kv.used, r.kv.promised);
    EXPECT_LE(r.kv.promised, 1.0);
    EXPECT_GT(r.kv.filled, 0.0);
    EXPECT_LE(r.kv.filled, 1.0);
  }
}

TEST(Serving, RefusesOptionsOutOfBounds) {
  const auto refused = [](auto change) {
    ServingOptions options = small_options();
    change(options);
    EXPECT_THROW((void)serve(two_requests(), options), InvalidArgument);
  };
  refused([](ServingOptions& o) { o.layers = 0; });
  refused([](ServingOptions& o) { o.max_steps = 0; });
  refused([](ServingOptions& o) { o.limit_every = -1; });
  refused([](ServingOptions& o) { o.check_every = 0; });
  refused([](ServingOptions& o) { o.batching.num_pages = 0; });
  refused([](ServingOptions& o) { o.shape.num_kv_heads = 3; });
}

}  // namespace
}  // namespace pkv::serving
