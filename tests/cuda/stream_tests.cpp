// Steps side by side on two streams, and steps one after the other in one workspace.

#include "cuda/paged_problem.hpp"
#include "persistentkv/core/error.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <thread>

namespace pkv::testing {

namespace {

class CudaStreams : public EngineTest {
 protected:
  static Dimensions dimensions(std::int64_t batch, std::int64_t pages_per_row) {
    Dimensions d;
    d.batch = batch;
    d.pages_per_row = pages_per_row;
    d.out_dtype = DType::kF32;  // rounding would hide the last bits
    return d;
  }

  /// What the problem comes to by itself, after a look at the oracle.
  std::vector<std::byte> run_alone(PagedProblem& problem, CudaPreparedStep& prepared) {
    problem.poison_outputs();
    prepared.run(problem.device_layer(), nullptr);
    EXPECT_EQ(problem.disagreement(), "");
    return problem.out();
  }
};

/// Places for the outputs of many runs.
class Outputs {
 public:
  Outputs(std::size_t count, std::size_t size_bytes) : count_(count), size_(size_bytes), bytes_(count * size_bytes) {}

  [[nodiscard]] Layer layer(const PagedProblem& problem, std::size_t i) const {
    Layer layer = problem.device_layer();
    layer.out.data = bytes_.data() + i * size_;
    return layer;
  }
  /// How many are not `expected`, bit for bit.
  [[nodiscard]] int others_than(const std::vector<std::byte>& expected) const {
    std::vector<std::byte> all(bytes_.size_bytes());
    bytes_.download(all.data());
    int others = 0;
    for (std::size_t i = 0; i < count_; ++i)
      if (std::memcmp(all.data() + i * size_, expected.data(), size_) != 0) ++others;
    return others;
  }

 private:
  std::size_t count_, size_;
  DeviceBytes bytes_;
};

TEST_F(CudaStreams, TwoStepsAtOnce) {
  constexpr std::size_t kRuns = 300;
  PagedProblem first(dimensions(5, 60), random_), second(dimensions(40, 9), random_);
  first.draw(first.random_lengths(60 * 16));
  second.draw(second.random_lengths(9 * 16));
  PlanOptions options = stream_options();
  options.num_workers = backend_->device().num_sms;  // chained or not: other cuts differ in their last bits
  const auto a = backend_->prepare(first.device_step(), Schedule::kStream, options, {}),
             b = backend_->prepare(second.device_step(), Schedule::kStream, options, {});
  const std::vector<std::byte> alone_a = run_alone(first, *a), alone_b = run_alone(second, *b);
  const Outputs outs_a(kRuns, alone_a.size()), outs_b(kRuns, alone_b.size());
  const Stream stream_a, stream_b;
  for (std::size_t i = 0; i < kRuns; ++i) {
    const CudaRunOptions run_options{.programmatic_dependent_launch = i % 2 == 1};
    a->run(outs_a.layer(first, i), stream_a, run_options);
    b->run(outs_b.layer(second, i), stream_b, run_options);
  }
  EXPECT_EQ(outs_a.others_than(alone_a), 0) << "of " << kRuns;
  EXPECT_EQ(outs_b.others_than(alone_b), 0) << "of " << kRuns;
}

/// Few CTAs each, so that both are really resident at once.
TEST_F(CudaStreams, TwoSmallStepsAtOnce) {
  constexpr std::size_t kRuns = 300;
  PagedProblem problem(dimensions(3, 100), random_);
  problem.draw(problem.random_lengths(1600));
  PlanOptions options = stream_options();
  options.num_workers = 40;
  const Step step = problem.device_step();
  const auto a = backend_->prepare(step, Schedule::kStream, options, {});
  const auto b = backend_->prepare(step, Schedule::kStream, options, {});
  const std::vector<std::byte> alone = run_alone(problem, *a);
  ASSERT_EQ(run_alone(problem, *b), alone);
  const Outputs outs_a(kRuns, alone.size()), outs_b(kRuns, alone.size());
  const Stream stream_a, stream_b;
  for (std::size_t i = 0; i < kRuns; ++i) {
    a->run(outs_a.layer(problem, i), stream_a);
    b->run(outs_b.layer(problem, i), stream_b);
  }
  EXPECT_EQ(outs_a.others_than(alone), 0) << "of " << kRuns;
  EXPECT_EQ(outs_b.others_than(alone), 0) << "of " << kRuns;
}

/// One workspace, zeroed once, serves steps of every batch and length in turn.
TEST_F(CudaStreams, OneWorkspaceForManySteps) {
  const Dimensions any = dimensions(1, 1);
  const std::size_t size = backend_->stream_workspace_bytes(any.shape, any.dtype);
  DeviceBytes workspace(size, 4096);
  const std::vector<std::byte> zeros(size);
  workspace.upload(zeros.data());
  const Stream stream;
  for (int i = 0; i < 24; ++i) {
    const std::int64_t batch = i % 3 == 0 ? 1 : random_.in(2, 50);
    const std::int64_t pages = random_.in(1, batch == 1 ? 200 : 30);
    SCOPED_TRACE(::testing::Message() << "step " << i << ": batch " << batch << ", " << pages << " pages a row");
    PagedProblem problem(dimensions(batch, pages), random_);
    problem.draw(problem.random_lengths(static_cast<std::int32_t>(pages) * 16));
    const auto own = prepare(problem.device_step());
    const std::vector<std::byte> alone = run_alone(problem, *own);
    const auto shared = prepare(i % 2 == 0 ? problem.device_step() : problem.host_step(), {workspace.data(), size});
    problem.poison_outputs();
    shared->run(problem.device_layer(), stream);
    ASSERT_EQ(problem.disagreement(), "");
    ASSERT_EQ(problem.out(), alone);
    ASSERT_FALSE(shared->take_errors(stream).any());
  }
  EXPECT_TRUE(workspace.guards_intact());
}

/// The same for steps of other numbers of workers, for the largest of which it is large enough.
TEST_F(CudaStreams, OneWorkspaceForOtherNumbersOfWorkers) {
  const Dimensions d = dimensions(6, 60);
  const int most = 2 * backend_->device().num_sms;
  const std::size_t size = backend_->stream_workspace_bytes(d.shape, d.dtype, most);
  DeviceBytes workspace(size, 4096);
  const std::vector<std::byte> zeros(size);
  workspace.upload(zeros.data());
  PagedProblem problem(d, random_);
  problem.draw(std::vector<std::int32_t>(6, d.capacity_tokens()));
  for (const int workers : {most, 10, most / 4, most, most / 3, most / 2, most / 8, most}) {
    SCOPED_TRACE(::testing::Message() << workers << " workers");
    PlanOptions options = stream_options();
    options.num_workers = workers;
    const auto prepared =
        backend_->prepare(problem.device_step(), Schedule::kStream, options, {workspace.data(), size});
    problem.poison_outputs();
    prepared->run(problem.device_layer(), nullptr);
    ASSERT_EQ(problem.disagreement(), "");
  }
  EXPECT_TRUE(workspace.guards_intact());
}

/// A thread that has called nothing of CUDA before, and whose first call is the launch: all pointers are known by then.
TEST_F(CudaStreams, RunsFromAnyThread) {
  PagedProblem problem(dimensions(4, 6), random_);
  problem.draw(problem.random_lengths(96));
  const auto prepared = prepare(problem.device_step());
  const Stream stream;
  prepared->run(problem.device_layer(), stream);
  stream.wait();
  problem.poison_outputs();
  check(cudaDeviceSynchronize());
  const Layer layer = problem.device_layer();
  std::string error;
  std::thread([&] {
    try {
      prepared->run(layer, stream);
    } catch (const Error& e) {
      error = e.what();
    }
  }).join();
  ASSERT_EQ(error, "");
  stream.wait();
  ASSERT_EQ(problem.disagreement(), "");
}

/// Short steps, for which the backend gives workers more than a tile each, and long ones.
TEST_F(CudaStreams, CountersOfDeviceLengthsAreThoseOfHostLengths) {
  for (const std::int64_t pages : {1, 3, 20, 200}) {
    SCOPED_TRACE(::testing::Message() << pages << " pages a row");
    Dimensions d = dimensions(4, pages);
    if (pages == 20) d.shape = {.num_q_heads = 22, .num_kv_heads = 2, .head_dim = 128};  // in halves, of 6 and 5 heads
    PagedProblem problem(d, random_);
    std::vector<std::int32_t> lengths = problem.random_lengths(d.capacity_tokens());
    lengths.front() = d.capacity_tokens();  // of 20 pages and more, it is cut
    problem.draw(lengths);
    const auto device = prepare(problem.device_step());
    const auto host = prepare(problem.host_step());
    EXPECT_EQ(device->executed_for(lengths).launches, 0);  // before the first run
    device->run(problem.device_layer(), nullptr);
    host->run(problem.device_layer(), nullptr);
    const ExecutedCounters a = device->executed_for(lengths), b = host->executed();
    EXPECT_EQ(device->executed().segments, 0);
    EXPECT_EQ(a.launches, b.launches);
    EXPECT_EQ(a.decode_ctas, b.decode_ctas);
    EXPECT_EQ(a.segments, b.segments);
    EXPECT_EQ(a.partials, b.partials);
    EXPECT_EQ(a.merge_bytes, b.merge_bytes);
    EXPECT_EQ(a.kv_tokens, b.kv_tokens);
    EXPECT_GT(a.segments, 0);
    if (pages == 20) {
      // Each segment is two CTAs', and each part of a unit is counted for all 11 heads.
      EXPECT_GT(a.segments, 4 * std::count_if(lengths.begin(), lengths.end(), [](std::int32_t n) { return n > 0; }));
      EXPECT_EQ(a.segments % 2, 0);
      EXPECT_GT(a.partials, 0);
      EXPECT_EQ(a.partials % 11, 0);
    }
    const std::vector<std::int32_t> others(lengths.size() + 1);
    EXPECT_THROW((void)device->executed_for(others), InvalidArgument);
  }
}

}  // namespace

}  // namespace pkv::testing
