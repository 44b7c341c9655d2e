// The whole way, on the CPU: every route's results are the oracle's.

#include "cpu/small_problem.hpp"
#include "persistentkv/cpu/cpu_backend.hpp"
#include "persistentkv/policy/profile_io.hpp"
#include "persistentkv/reference/reference_decode.hpp"
#include "persistentkv/runtime/runtime.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <utility>

namespace pkv {
namespace {

using testing_support::SmallProblem;

void expect_right(const SmallProblem& problem) {
  const AttentionShape& shape = problem.shape;
  for (std::int64_t row = 0; row < problem.step.batch; ++row) {
    for (int head = 0; head < shape.num_q_heads; ++head) {
      const ReferenceResult expected = reference_decode(problem.step, problem.layer, row, head);
      const std::int64_t at = row * shape.num_q_heads + head;
      for (int i = 0; i < shape.head_dim; ++i) {
        const float value = problem.out[static_cast<std::size_t>(at * shape.head_dim + i)];
        ASSERT_NEAR(value, expected.out[static_cast<std::size_t>(i)], 2e-5) << "row " << row << ", head " << head;
      }
      const float lse = problem.lse[static_cast<std::size_t>(at)];
      if (problem.step.lengths.at(row) == 0)
        ASSERT_EQ(lse, expected.lse);
      else
        ASSERT_NEAR(lse, expected.lse, 2e-5);
    }
  }
}

/// Every schedule a candidate, whatever the shape.
DeviceProfile profile_for(const SmallProblem& problem) {
  DeviceProfile profile = find_profile("rtx3060-paper");
  profile.group_sizes = {problem.shape.group_size()};
  profile.head_dims = {problem.shape.head_dim};
  profile.dtypes = {problem.dtype};
  profile.candidates.clear();
  for (const Schedule schedule : kAllSchedules) profile.candidates.push_back({route_of(schedule), 0});
  profile.safe_route = Route::kStream;
  profile.gates.clear();
  return profile;
}

class RuntimeResults : public testing::TestWithParam<Route> {};

TEST_P(RuntimeResults, AreTheOracles) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  const std::shared_ptr<Backend> backend = make_cpu_backend({2, {}});
  for (int round = 0; round < 4; ++round) {
    SmallProblem problem;
    problem.seed = random();
    problem.lengths.resize(1 + random() % 6);
    for (std::int32_t& length : problem.lengths) length = static_cast<std::int32_t>(random() % 400);
    problem.build();
    Runtime runtime(profile_for(problem), {backend}, {.route = GetParam()});
    RuntimeStep step = runtime.prepare(problem.step);
    if (GetParam() == Route::kPolicy)
      EXPECT_EQ(step.decision().grounds, Grounds::kEstimate);
    else
      EXPECT_EQ(step.decision().route, GetParam());
    EXPECT_EQ(step.decision().backend, "cpu");
    step.run(problem.layer);
    expect_right(problem);
    std::swap(problem.layer.kv.k.data, problem.layer.kv.v.data);  // another layer of the step
    problem.out.assign(problem.out.size(), std::nanf(""));
    problem.lse.assign(problem.lse.size(), std::nanf(""));
    step.run(problem.layer);
    expect_right(problem);
    EXPECT_EQ(runtime.counters().layers, 2);
    EXPECT_EQ(step.executed().kv_tokens, step.explain().step.kv_tokens * problem.shape.num_kv_heads);
  }
}

INSTANTIATE_TEST_SUITE_P(Routes, RuntimeResults,
                         testing::Values(Route::kExactBuckets, Route::kCoarseBuckets, Route::kPaddedBucket,
                                         Route::kSequenceSplit, Route::kWorkqueue, Route::kWorkqueueFused,
                                         Route::kStream, Route::kPolicy),
                         [](const auto& test) {
                           std::string name(to_string(test.param));
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace pkv
