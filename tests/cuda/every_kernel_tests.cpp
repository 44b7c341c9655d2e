// Every kernel of the engine that the binary has, once at least.

#include "cuda/paged_problem.hpp"

#include <algorithm>

namespace pkv::testing {

namespace {

class CudaKernels : public EngineTest {};

/// Each instantiation: of `stream`, of listed segments, and of merges, for one block of heads and for two. On a GPU of
/// 71 SMs or more, 35 CTAs share each head of the long row, and merge in groups, as the fused workqueue's do. 13 heads
/// are taken in halves where there are enough SMs, 29 in two passes of two blocks.
TEST_F(CudaKernels, EveryKernel) {
  for (const DType dtype : backend_->capabilities().dtypes) {
    for (const int head_dim : backend_->capabilities().head_dims) {
      for (const int group_size : {3, 13, 29}) {
        Dimensions d;
        d.shape = {.num_q_heads = 2 * group_size, .num_kv_heads = 2, .head_dim = head_dim};
        d.dtype = d.out_dtype = dtype;
        d.batch = 3;
        d.pages_per_row = 280;
        PagedProblem problem(d, random_);
        for (const std::int32_t longest : {4479, 600}) {
          problem.draw(std::vector<std::int32_t>{longest, 0, 50});
          for (const Schedule schedule : {Schedule::kStream, Schedule::kWorkqueueFused, Schedule::kWorkqueue}) {
            SCOPED_TRACE(::testing::Message() << to_string(dtype) << ", d = " << head_dim << ", G = " << group_size
                                              << ", " << longest << " tokens, " << to_string(schedule));
            problem.poison_outputs();
            PlanOptions options = stream_options();
            options.splits = schedule == Schedule::kWorkqueueFused ? 60 : schedule == Schedule::kWorkqueue ? 4 : 0;
            const auto prepared = backend_->prepare(problem.host_step(), schedule, options);
            prepared->run(problem.device_layer());
            ASSERT_EQ(problem.disagreement(), "");
          }
        }
      }
    }
  }
}

/// `stream` has kernels of their own for usual steps of few rows and of many: they compute what the kernel for every
/// form does, to the last bit. The same step is usual, and is not once its lengths are int64.
TEST_F(CudaKernels, EveryFormOfAStepGivesTheSame) {
  for (const DType dtype : backend_->capabilities().dtypes) {
    for (const int head_dim : backend_->capabilities().head_dims) {
      for (const int group_size : {4, 13}) {
        for (const std::int64_t batch : {32, 33, 130}) {
          SCOPED_TRACE(::testing::Message()
                       << to_string(dtype) << ", d = " << head_dim << ", G = " << group_size << ", batch " << batch);
          Dimensions d;
          d.shape = {.num_q_heads = 2 * group_size, .num_kv_heads = 2, .head_dim = head_dim};
          d.dtype = d.out_dtype = dtype;
          d.batch = batch;
          d.pages_per_row = std::max<std::int64_t>(300 / batch, 4);
          PagedProblem problem(d, random_);
          problem.draw(problem.random_lengths(d.capacity_tokens()));
          prepare(problem.device_step())->run(problem.device_layer(), nullptr);
          ASSERT_EQ(problem.disagreement(), "");
          const std::vector<std::byte> usual = problem.out();
          problem.poison_outputs();
          const DeviceIndices<std::int64_t> lengths({problem.lengths().begin(), problem.lengths().end()});
          Step step = problem.device_step();
          step.lengths.values = lengths.view();
          prepare(step)->run(problem.device_layer(), nullptr);
          ASSERT_EQ(problem.download(), "");
          ASSERT_TRUE(problem.out() == usual);
        }
      }
    }
  }
}

}  // namespace

}  // namespace pkv::testing
