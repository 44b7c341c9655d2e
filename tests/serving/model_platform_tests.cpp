// Steps that nobody runs.

#include "serving/model_platform.hpp"

#include "batching/vector_source.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/policy/profile_io.hpp"
#include "scripted.hpp"
#include "serving/serve.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace pkv::serving {
namespace {

using testing::VectorSource;

const AttentionShape kPaperShape{32, 8, 128};

ServingOptions paper_options() {
  ServingOptions options;
  options.shape = kPaperShape;
  options.batching.num_pages = 1 << 14;
  options.batching.max_active = 16;
  options.traffic.prefill.rule = PrefillRule::kNone;
  return options;
}

TEST(ModelPlatform, StepsLastWhatTheCostModelSays) {
  const DeviceProfile profile = find_profile("rtx3060-paper");
  ModelPlatform platform(profile, kPaperShape, DType::kF16, 32);
  VectorSource source({{8000, 1, 0, {}}}, ArrivalUnit::kMicroseconds);
  const auto executor = platform.executor(Route::kSequenceSplit);
  const ServingResult r = run_serving(source, *executor, Route::kSequenceSplit, paper_options());
  const std::int32_t length = 8000;
  PolicyInput input;
  input.step = {.shape = kPaperShape, .lengths = {&length, 1}, .capacity_tokens = {}};
  const double us = estimate_cost(profile, Route::kSequenceSplit, input, summarize(input)).total_us;
  EXPECT_EQ(r.attention_us, us);
  EXPECT_DOUBLE_EQ(r.duration_us, 32 * us);
  EXPECT_EQ(r.executed_steps, 0);
}

TEST(ModelPlatform, ThePolicyTakesAProfilesRoutes) {
  ModelPlatform platform(find_profile("rtx3060-paper"), kPaperShape, DType::kF16, 32);
  std::vector<Request> requests(10, Request{17000, 20, 0, {}});  // eight or more long rows: the workqueue
  for (int i = 0; i < 3; ++i) requests.push_back({400, 3, 1'000'000'000, {}});  // few short ones: FlashInfer
  VectorSource source(requests, ArrivalUnit::kMicroseconds);
  const auto executor = platform.executor(Route::kPolicy);
  const ServingResult r = run_serving(source, *executor, Route::kPolicy, paper_options());
  EXPECT_EQ(r.steps_by_route[static_cast<std::size_t>(Route::kWorkqueue)], 20);
  EXPECT_EQ(r.steps_by_route[static_cast<std::size_t>(Route::kFlashInferTensorCore)], 3);
}

TEST(ModelPlatform, SaysWhatItKnowsNothingOf) {
  ModelPlatform platform(find_profile("rtx3060-paper"), {32, 32, 128}, DType::kF16, 32);  // G = 1: not calibrated
  EXPECT_NE(platform.why_not(Route::kStream), "");
  EXPECT_THROW((void)platform.executor(Route::kStream), Unsupported);
}

}  // namespace
}  // namespace pkv::serving
