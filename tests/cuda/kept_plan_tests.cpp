// Layers of a step that use the plan that the first one kept.

#include "cuda/paged_problem.hpp"

namespace pkv::testing {

namespace {

class CudaKeptPlan : public EngineTest {
 protected:
  static Dimensions dimensions(std::int64_t batch, std::int64_t pages_per_row) {
    Dimensions d;
    d.batch = batch;
    d.pages_per_row = pages_per_row;
    d.out_dtype = DType::kF32;  // rounding would hide the last bits
    return d;
  }

  /// What is wrong with a run, empty if nothing.
  static std::string run(PagedProblem& problem, CudaPreparedStep& prepared, CudaPlanUse plan, bool dependent = false) {
    problem.poison_outputs();
    prepared.run(problem.device_layer(), nullptr, {.programmatic_dependent_launch = dependent, .plan = plan});
    return problem.disagreement();
  }
};

TEST_F(CudaKeptPlan, GivesTheSameBits) {
  for (const std::int64_t batch : {1, 7, 45, 200, 1500}) {
    for (const bool dependent : {false, true}) {
      SCOPED_TRACE(::testing::Message() << "batch " << batch << (dependent ? ", dependent" : ""));
      Dimensions d = dimensions(batch, batch == 1 ? 500 : 20);
      if (batch == 7) d.shape = {.num_q_heads = 40, .num_kv_heads = 2, .head_dim = 64};  // two chunks of a group
      PagedProblem problem(d, random_);
      problem.draw(problem.random_lengths(d.capacity_tokens()));
      const auto prepared = prepare(problem.device_step());
      ASSERT_EQ(run(problem, *prepared, CudaPlanUse::kKeep, dependent), "");
      const std::vector<std::byte> kept = problem.out();
      // However it is launched, with the CTAs of the run that kept it.
      for (const bool later_dependent : {false, true}) {
        ASSERT_EQ(run(problem, *prepared, CudaPlanUse::kKept, later_dependent), "");
        EXPECT_TRUE(problem.out() == kept);
      }
    }
  }
}

TEST_F(CudaKeptPlan, IsReallyUsedAndHarmlessWhereItIsOld) {
  int wrong = 0;
  for (int round = 0; round < 20; ++round) {
    const std::int64_t batch = random_.in(2, round % 2 == 0 ? 12 : 300);
    const Dimensions d = dimensions(batch, 30);
    PagedProblem problem(d, random_);
    problem.draw(problem.random_lengths(d.capacity_tokens()));
    const auto prepared = prepare(problem.device_step());
    ASSERT_EQ(run(problem, *prepared, CudaPlanUse::kKeep), "");
    problem.draw(problem.random_lengths(d.capacity_tokens()));
    wrong += run(problem, *prepared, CudaPlanUse::kKept).empty() ? 0 : 1;
    // It has ended, and left nothing behind that a plan of the right lengths would stumble over.
    (void)prepared->take_errors(nullptr);
    ASSERT_EQ(run(problem, *prepared, CudaPlanUse::kOwn), "") << "batch " << batch;
    ASSERT_EQ(run(problem, *prepared, CudaPlanUse::kKeep), "") << "batch " << batch;
    ASSERT_EQ(run(problem, *prepared, CudaPlanUse::kKept), "") << "batch " << batch;
    ASSERT_FALSE(prepared->take_errors(nullptr).any());
  }
  EXPECT_GT(wrong, 15);
}

TEST_F(CudaKeptPlan, IsMadeWhereThereIsNone) {
  PagedProblem first(dimensions(5, 60), random_), second(dimensions(9, 30), random_);
  first.draw(first.random_lengths(60 * 16));
  second.draw(second.random_lengths(30 * 16));
  const std::size_t size = backend_->stream_workspace_bytes(Dimensions().shape, DType::kF16);
  DeviceBytes memory(size);
  check(cudaMemset(memory.data(), 0, size));
  const CudaWorkspace workspace{memory.data(), size};
  const auto a = prepare(first.device_step(), workspace), b = prepare(second.device_step(), workspace);
  EXPECT_EQ(run(first, *a, CudaPlanUse::kKept), "");  // nobody has kept one
  EXPECT_EQ(run(first, *a, CudaPlanUse::kKeep), "");
  EXPECT_EQ(run(second, *b, CudaPlanUse::kKept), "");  // it is another step's
  EXPECT_EQ(run(second, *b, CudaPlanUse::kKeep), "");
  EXPECT_EQ(run(first, *a, CudaPlanUse::kKept), "");  // its own is gone
  EXPECT_EQ(run(second, *b, CudaPlanUse::kKept), "");
}

TEST_F(CudaKeptPlan, LayersOfAGraphFollowOtherLengths) {
  for (const bool dependent : {false, true}) {
    for (const int layers : {2, 3, 6}) {
      const Dimensions d = dimensions(9, 40);
      PagedProblem problem(d, random_);
      problem.draw(problem.random_lengths(d.capacity_tokens()));
      const auto prepared = prepare(problem.device_step());
      const Stream stream;
      const Graph graph(stream, [&] {
        for (int layer = 0; layer < layers; ++layer) {
          prepared->run(problem.device_layer(), stream,
                        {.programmatic_dependent_launch = dependent, .plan = plan_use_of_layer(layer, dependent)});
        }
      });
      for (int replay = 0; replay < 5; ++replay) {
        SCOPED_TRACE(::testing::Message()
                     << layers << " layers" << (dependent ? ", dependent" : "") << ", replay " << replay);
        problem.draw(problem.random_lengths(static_cast<std::int32_t>(random_.in(1, d.capacity_tokens()))));
        problem.poison_outputs();
        graph.launch();
        stream.wait();
        ASSERT_EQ(problem.disagreement(), "");
        ASSERT_FALSE(prepared->take_errors(stream).any());
      }
    }
  }
}

}  // namespace

}  // namespace pkv::testing
