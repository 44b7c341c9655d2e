// A step of `stream` whose lengths and table are on the device, captured once: replays must follow whatever is in those
// arrays by then.

#include "arith/stream.hpp"
#include "cuda/paged_problem.hpp"

namespace pkv::testing {

namespace {

class CudaGraph : public EngineTest {
 protected:
  /// Captures a run, and replays it for lengths of every kind.
  void replay(const Dimensions& dimensions, const CudaRunOptions& options) { replay(*backend_, dimensions, options); }
  void replay(CudaBackend& backend, const Dimensions& dimensions, const CudaRunOptions& options) {
    PagedProblem problem(dimensions, random_);
    const std::int32_t most = dimensions.capacity_tokens();
    problem.draw(problem.random_lengths(most / 2));
    const auto prepared = backend.prepare(problem.device_step(), Schedule::kStream, stream_options(), CudaWorkspace{});
    ASSERT_TRUE(prepared->replays_with_other_lengths());
    const Stream stream;
    const Graph graph(stream, [&] { prepared->run(problem.device_layer(), stream, options); });

    const auto batch = static_cast<std::size_t>(dimensions.batch);
    std::vector<std::vector<std::int32_t>> replays = {std::vector<std::int32_t>(batch, most),
                                                      std::vector<std::int32_t>(batch, 0),
                                                      std::vector<std::int32_t>(batch, 1)};
    for (int i = 0; i < 4; ++i)
      replays.push_back(problem.random_lengths(static_cast<std::int32_t>(random_.in(1, most))));
    std::vector<std::int32_t> lone(batch, 0);
    lone.back() = most;
    replays.push_back(lone);
    lone.back() = -3;
    lone.front() = 1;
    replays.push_back(lone);
    for (std::size_t i = 0; i < replays.size(); ++i) {
      SCOPED_TRACE(::testing::Message() << "replay " << i << " of batch " << batch);
      problem.draw(replays[i]);
      problem.poison_outputs();
      graph.launch();
      stream.wait();
      ASSERT_EQ(problem.disagreement(), "");
      ASSERT_FALSE(prepared->take_errors(stream).any());
    }
  }
};

TEST_F(CudaGraph, ReplaysSeeOtherLengthsAndPages) {
  for (const std::int64_t batch : {1, 7, 32, 45}) {
    Dimensions dimensions;
    dimensions.batch = batch;
    dimensions.pages_per_row = batch == 1 ? 300 : 40;
    replay(dimensions, {});
  }
}

TEST_F(CudaGraph, ReplaysOfDependentLaunches) {
  Dimensions dimensions;
  dimensions.batch = 9;
  dimensions.pages_per_row = 25;
  dimensions.dtype = dimensions.out_dtype = DType::kBF16;
  dimensions.shape = {.num_q_heads = 16, .num_kv_heads = 1, .head_dim = 256};
  replay(dimensions, {.programmatic_dependent_launch = true});
}

/// Short steps of 16 heads a group take them in halves, others whole: of one launch, and in one workspace.
TEST_F(CudaGraph, ReplaysOfGroupsInHalvesAndWhole) {
  const auto backend = make_cuda_backend({.max_ctas = 4});
  for (const bool dependent : {false, true}) {
    Dimensions dimensions;
    dimensions.batch = 3;
    dimensions.pages_per_row = 4 * arith::kHalvedRun / 16 / 2;  // a lone row is short, three are not
    dimensions.shape = {.num_q_heads = 16, .num_kv_heads = 1, .head_dim = 128};
    replay(*backend, dimensions, {.programmatic_dependent_launch = dependent});
  }
}

/// Plans of the host repeat their lengths, but look pages up anew.
TEST_F(CudaGraph, ReplaysOfHostPlansSeeOtherPages) {
  PagedProblem problem({.batch = 6, .pages_per_row = 30}, random_);
  const std::vector<std::int32_t> lengths = problem.random_lengths(480);
  for (const Schedule schedule : kAllSchedules) {
    if (schedule == Schedule::kStream) continue;
    SCOPED_TRACE(to_string(schedule));
    problem.draw(lengths);
    Step step = problem.device_step();
    step.lengths = problem.host_step().lengths;
    const auto prepared = backend_->prepare(step, schedule, stream_options());
    const Stream stream;
    const Graph graph(stream, [&] { prepared->run(problem.device_layer(), stream); });
    for (int i = 0; i < 2; ++i) {
      problem.draw(lengths);
      problem.poison_outputs();
      graph.launch();
      stream.wait();
      ASSERT_EQ(problem.disagreement(), "");
    }
  }
}

/// Steps whose arrays the host has read repeat what was planned, and say so.
TEST_F(CudaGraph, StepsFromTheHostDoNotPromiseToFollow) {
  PagedProblem problem({.batch = 3, .pages_per_row = 4}, random_);
  problem.draw(std::vector<std::int32_t>{5, 64, 17});
  EXPECT_FALSE(prepare(problem.host_step())->replays_with_other_lengths());
  Step half = problem.device_step();
  half.lengths = problem.host_step().lengths;
  EXPECT_FALSE(prepare(half)->replays_with_other_lengths());
}

}  // namespace

}  // namespace pkv::testing
