#include "persistentkv/cpu/cpu_backend.hpp"

#include "persistentkv/plan/planner.hpp"
#include "persistentkv/reference/reference_decode.hpp"
#include "small_problem.hpp"
#include "support/thrown.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace pkv {
namespace {

using testing::HasSubstr;
using testing_support::SmallProblem;
using testing_support::thrown_by;

std::uint64_t fresh_seed() { return std::random_device{}(); }

/// Checks out and LSE of every row and head against the oracle, by the L2 norm of each row.
void expect_matches_oracle(const SmallProblem& problem, double bound) {
  const int d = problem.shape.head_dim;
  for (std::int64_t row = 0; row < problem.step.batch; ++row) {
    for (int h = 0; h < problem.shape.num_q_heads; ++h) {
      const ReferenceResult expected = reference_decode(problem.step, problem.layer, row, h);
      const std::int64_t at = row * problem.shape.num_q_heads + h;
      double error = 0.0;
      double norm = 1e-30;
      for (int i = 0; i < d; ++i) {
        error += std::pow(problem.out[at * d + i] - expected.out[i], 2);
        norm += std::pow(expected.out[i], 2);
      }
      ASSERT_LE(std::sqrt(error / norm), bound) << "row " << row << ", head " << h << ", seed " << problem.seed;
      if (problem.lengths[row] > 0)
        ASSERT_NEAR(problem.lse[at], expected.lse, 1e-4) << "row " << row << ", head " << h;
      else
        ASSERT_EQ(problem.lse[at], expected.lse);
    }
  }
}

TEST(CpuBackend, EverySimdTargetEveryDtypeAndSchedule) {
  ASSERT_FALSE(cpu_simd_targets().empty());
  EXPECT_EQ(cpu_simd_target(), cpu_simd_targets().front());
  for (const std::string& target : cpu_simd_targets()) {
    const std::unique_ptr<Backend> backend = make_cpu_backend({.num_threads = 2, .simd_target = target});
    for (const DType dtype : {DType::kF16, DType::kBF16, DType::kF32}) {
      for (const auto& [group, head_dim] : {std::pair{4, 128}, std::pair{1, 80}, std::pair{7, 16}, std::pair{6, 96}}) {
        SmallProblem problem;
        problem.dtype = dtype;
        problem.seed = fresh_seed();
        problem.shape.num_q_heads = group * problem.shape.num_kv_heads;
        problem.shape.head_dim = head_dim;
        problem.build();
        for (const Schedule schedule : kAllSchedules) {
          SCOPED_TRACE(testing::Message() << target << " " << to_string(dtype) << " " << to_string(schedule) << " G "
                                          << group << " d " << head_dim);
          std::fill(problem.out.begin(), problem.out.end(), std::nanf(""));
          std::fill(problem.lse.begin(), problem.lse.end(), std::nanf(""));
          backend->prepare(problem.step, schedule, {})->run(problem.layer);
          expect_matches_oracle(problem, 1e-5);
        }
      }
    }
  }
}

// Blocks are of 32 to 128 tokens, by the bytes of a vector.
TEST(CpuBackend, LengthsAroundTheEdgesOfBlocks) {
  PlanOptions options;
  options.num_workers = 3;
  const std::unique_ptr<Backend> backend = make_cpu_backend({.num_threads = 2, .simd_target = ""});
  for (const DType dtype : {DType::kBF16, DType::kF32}) {
    for (const int head_dim : {16, 48, 64, 80, 128, 256, 512}) {
      SmallProblem problem;
      problem.dtype = dtype;
      problem.seed = fresh_seed();
      problem.shape.num_q_heads = 3 * problem.shape.num_kv_heads;
      problem.shape.head_dim = head_dim;
      problem.lengths.clear();
      problem.lengths.reserve(18);
      for (const int edge : {32, 64, 96, 128, 192, 256})
        for (const int length : {edge - 1, edge, edge + 1}) problem.lengths.push_back(length);
      std::shuffle(problem.lengths.begin(), problem.lengths.end(), std::mt19937_64(problem.seed));
      problem.build();
      SCOPED_TRACE(testing::Message() << to_string(dtype) << " d " << head_dim);
      backend->prepare(problem.step, Schedule::kStream, options)->run(problem.layer);
      expect_matches_oracle(problem, 1e-5);
    }
  }
}

TEST(CpuBackend, RoundsOutputsToNearest) {
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    SmallProblem problem;
    problem.dtype = dtype;
    problem.seed = fresh_seed();
    problem.build();
    for (const std::string& target : cpu_simd_targets()) {
      SCOPED_TRACE(target);
      const std::unique_ptr<Backend> backend = make_cpu_backend({.num_threads = 2, .simd_target = target});
      const std::unique_ptr<PreparedStep> prepared = backend->prepare(problem.step, Schedule::kStream, {});
      prepared->run(problem.layer);
      std::vector<std::uint16_t> narrow(problem.out.size());
      Layer layer = problem.layer;
      layer.out.data = narrow.data();
      layer.out.dtype = dtype;
      prepared->run(layer);
      std::vector<std::uint16_t> expected(narrow.size());
      for (std::size_t i = 0; i < expected.size(); ++i) store_element(expected.data(), dtype, i, problem.out[i]);
      EXPECT_EQ(narrow, expected) << "seed " << problem.seed;
    }
  }
}

TEST(CpuBackend, CountsWhatRan) {
  SmallProblem problem;
  problem.build();
  const std::unique_ptr<Backend> backend = make_cpu_backend({.num_threads = 2, .simd_target = {}});
  for (const Schedule schedule : kAllSchedules) {
    SCOPED_TRACE(to_string(schedule));
    const WorkPlan plan = make_plan(schedule, {problem.shape, problem.lengths, {}}, {.num_workers = 5});
    const std::unique_ptr<PreparedStep> prepared = backend->prepare(problem.step, plan);
    EXPECT_EQ(prepared->executed().launches, 0);
    for (int repeat = 0; repeat < 2; ++repeat) {
      prepared->run(problem.layer);
      const ExecutedCounters executed = prepared->executed();
      EXPECT_EQ(executed.launches, plan.counters().launches);
      EXPECT_EQ(executed.merge_launches, plan.counters().merge_launches);
      EXPECT_EQ(executed.decode_ctas, plan.counters().decode_ctas);
      EXPECT_EQ(executed.segments, plan.counters().segments);
      EXPECT_EQ(executed.partials, plan.counters().partials);
      EXPECT_EQ(executed.merge_bytes, plan.counters().merge_bytes);
      EXPECT_EQ(executed.kv_tokens, plan.counters().kv_tokens * problem.shape.num_kv_heads);
    }
  }
}

TEST(CpuBackend, ResultDoesNotDependOnThreads) {
  SmallProblem problem;
  problem.seed = fresh_seed();
  problem.build();
  const WorkPlan plan = make_plan(Schedule::kWorkqueueFused, {problem.shape, problem.lengths, {}}, {});
  std::vector<float> first;
  for (const int threads : {1, 2, 3, 16}) {
    const std::unique_ptr<Backend> backend = make_cpu_backend({.num_threads = threads, .simd_target = {}});
    backend->prepare(problem.step, plan)->run(problem.layer);
    if (first.empty()) first = problem.out;
    EXPECT_EQ(problem.out, first) << threads << " threads, seed " << problem.seed;
  }
}

TEST(CpuBackend, PreparedStepOutlivesItsBackend) {
  SmallProblem problem;
  problem.seed = fresh_seed();
  problem.build();
  std::unique_ptr<PreparedStep> prepared = make_cpu_backend()->prepare(problem.step, Schedule::kStream, {});
  prepared->run(problem.layer);
  expect_matches_oracle(problem, 1e-5);
}

TEST(CpuBackend, RefusesAPlanThatIsNotTheSteps) {
  SmallProblem problem;
  problem.build();
  const std::unique_ptr<Backend> backend = make_cpu_backend();
  const auto message = [&](AttentionShape shape, std::vector<std::int32_t> lengths) {
    return thrown_by([&] {
      static_cast<void>(backend->prepare(problem.step, make_plan(Schedule::kWorkqueue, {shape, lengths, {}}, {})));
    });
  };
  std::vector<std::int32_t> longer = problem.lengths;
  longer[2] += 1;
  EXPECT_THAT(message(problem.shape, longer), HasSubstr("length 334 for row 2, must be the step's, 333"));
  longer.pop_back();
  EXPECT_THAT(message(problem.shape, longer), HasSubstr("batch of 4, must be the step's, 5"));
  AttentionShape shape = problem.shape;
  shape.num_q_heads *= 2;
  EXPECT_THAT(message(shape, problem.lengths), HasSubstr("16 query heads"));
}

TEST(CpuBackend, RefusesWhatItCannotServe) {
  EXPECT_THAT(thrown_by([] { static_cast<void>(make_cpu_backend({.num_threads = -1, .simd_target = {}})); }),
              HasSubstr("num_threads is -1"));
  EXPECT_THAT(thrown_by([] { static_cast<void>(make_cpu_backend({.num_threads = 1, .simd_target = "MMX"})); }),
              HasSubstr("simd_target is 'MMX'"));
  SmallProblem problem;
  problem.shape.head_dim = 72;
  problem.build();
  const std::unique_ptr<Backend> backend = make_cpu_backend();
  const auto prepare = [&] { static_cast<void>(backend->prepare(problem.step, Schedule::kStream, {})); };
  EXPECT_THAT(thrown_by<Unsupported>(prepare), HasSubstr("head_dim is 72, must be a multiple of 16 up to 512"));
  problem.step.shape.head_dim = 64;
  problem.step.lengths.values.space = MemorySpace::kDevice;
  EXPECT_THAT(thrown_by<Unsupported>(prepare), HasSubstr("lengths are on a device"));
}

TEST(CpuBackend, EmptyBatchRuns) {
  Step step;
  const std::unique_ptr<Backend> backend = make_cpu_backend();
  for (const Schedule schedule : kAllSchedules) {
    const std::unique_ptr<PreparedStep> prepared = backend->prepare(step, schedule, {});
    prepared->run(Layer{});
    EXPECT_EQ(prepared->executed().kv_tokens, 0);
  }
}

}  // namespace
}  // namespace pkv
