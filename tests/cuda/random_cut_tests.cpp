// `stream`, cut in every way that its options allow: the warps and CTAs that share a row and KV head, and where they
// meet, are others each time.

#include "cuda/paged_problem.hpp"

namespace pkv::testing {

namespace {

int one_of(conformance::Random& random, std::span<const int> values) { return random.pick(values); }

class CudaRandomCuts : public EngineTest {
 protected:
  Dimensions random_dimensions() {
    constexpr int kHeadDims[] = {64, 128, 128, 256}, kPageSizes[] = {1, 8, 16, 16, 20, 64};
    Dimensions d;
    const int kv_heads = static_cast<int>(random_.in(1, 5));
    d.shape = {.num_q_heads = kv_heads * static_cast<int>(random_.in(1, 20)), .num_kv_heads = kv_heads};
    d.shape.head_dim = one_of(random_, kHeadDims);
    d.dtype = random_.chance(0.5) ? DType::kF16 : DType::kBF16;
    d.out_dtype = random_.chance(0.5) ? DType::kF32 : d.dtype;  // of the latter, some steps are usual ones
    d.page_size = one_of(random_, kPageSizes);
    d.batch = random_.chance(0.3) ? 1 : random_.in(2, random_.chance(0.3) ? 60 : 12);
    d.pages_per_row = random_.in(1, (d.batch > 12 ? 200 : d.batch > 1 ? 700 : 5000) / d.page_size + 1);
    return d;
  }

  PlanOptions random_options() {
    constexpr int kTiles[] = {16, 16, 32, 48, 5, 1, 128};
    PlanOptions options;
    options.tile_tokens = one_of(random_, kTiles);
    options.num_workers = random_.chance(0.2) ? 0 : static_cast<int>(random_.in(1, 300));
    options.segment_cost_tokens = random_.chance(0.3) ? 0 : static_cast<int>(random_.in(1, 100));
    if (random_.chance(0.3)) options.uncut_tokens = static_cast<int>(random_.in(0, 300));
    if (random_.chance(0.3)) options.ahead_tokens = static_cast<int>(random_.in(0, 600));
    if (random_.chance(0.3)) options.whole_unit_tokens = static_cast<int>(random_.in(0, 300));
    return options;
  }
};

TEST_F(CudaRandomCuts, AllGiveTheSame) {
  for (int i = 0; i < 60; ++i) {
    const int max_warps = static_cast<int>(random_.in(0, 8));
    const auto backend = make_cuda_backend({.max_warps = max_warps});
    const Dimensions d = random_dimensions();
    PagedProblem problem(d, random_);
    problem.draw(problem.random_lengths(d.capacity_tokens()));
    for (int j = 0; j < 3; ++j) {
      const PlanOptions options = random_options();
      SCOPED_TRACE(::testing::Message() << "problem " << i << ": " << d.shape.num_q_heads << " query heads of "
                                        << d.shape.head_dim << " over " << d.shape.num_kv_heads << ", batch " << d.batch
                                        << ", pages of " << d.page_size << ", " << options.num_workers << " workers of "
                                        << max_warps << " warps, tile " << options.tile_tokens << ", segment cost "
                                        << options.segment_cost_tokens << ", uncut " << options.uncut_tokens
                                        << ", whole unit " << options.whole_unit_tokens << ", ahead "
                                        << options.ahead_tokens);
      const auto prepared = backend->prepare(problem.device_step(), Schedule::kStream, options, {});
      problem.poison_outputs();
      prepared->run(problem.device_layer(), nullptr);
      ASSERT_EQ(problem.disagreement(), "");
      const std::vector<std::byte> first = problem.out();
      problem.poison_outputs();
      prepared->run(problem.device_layer(), nullptr);
      ASSERT_EQ(problem.download(), "");
      ASSERT_EQ(problem.out(), first) << "another run gave other bits";
    }
  }
}

}  // namespace

}  // namespace pkv::testing
