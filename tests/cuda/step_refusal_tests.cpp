// Configurations, workspaces and steps that cannot be served.

#include "cuda/refusals.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace pkv::testing {

namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(CudaConfig, IsChecked) {  // before any device is looked for
  const auto words = [](const CudaBackendConfig& config) {
    return thrown_by([&] { (void)make_cuda_backend(config); });
  };
  EXPECT_EQ(words({.max_ctas = -1}), "max_ctas is -1, must be in [0, 1048576]");
  EXPECT_EQ(words({.max_warps = 9}), "max_warps is 9, must be in [0, 8]");
  EXPECT_EQ(words({.max_shared_bytes = -5}), "max_shared_bytes is -5, must be in [0, 1073741824]");
  EXPECT_THAT(words({.device = 999}), AllOf(HasSubstr("device is 999"), HasSubstr("must be below")));
}

TEST_F(CudaRefusals, Workspaces) {
  const Step step = problem_->device_step();
  const std::size_t size = backend_->stream_workspace_bytes(step.shape, step.dtype);
  const DeviceBytes memory(size + 256);
  std::vector<std::byte> host(size);
  const auto words = [&](void* data, std::size_t bytes) {
    return thrown_by([&] { (void)prepare(step, {data, bytes}); });
  };
  EXPECT_EQ(words(memory.data(), size - 1),
            fmt::format("workspace.size_bytes is {}, must be at least {}", size - 1, size));
  EXPECT_THAT(words(memory.data(), 0), HasSubstr("workspace.size_bytes is 0, must be at least"));
  void* const odd = memory.data() + 128;
  EXPECT_EQ(words(odd, size), fmt::format("workspace.data is {}, must be aligned to 256 bytes", odd));
  EXPECT_EQ(words(host.data(), size),
            fmt::format("workspace is {}, must be device memory", static_cast<void*>(host.data())));
  void* pinned = nullptr;
  check(cudaMallocHost(&pinned, size));
  EXPECT_EQ(words(pinned, size), fmt::format("workspace is {}, must be device memory", pinned));
  check(cudaFreeHost(pinned));
}

TEST_F(CudaRefusals, WorkspacesForOtherSchedules) {
  const DeviceBytes memory(1 << 20);
  for (const Schedule schedule : kAllSchedules) {
    if (schedule == Schedule::kStream) continue;
    EXPECT_EQ(thrown_by<Unsupported>([&] {
                (void)backend_->prepare(problem_->host_step(), schedule, stream_options(), {memory.data(), 1 << 20});
              }),
              fmt::format("schedule is {}, a workspace of the caller's serves stream only", to_string(schedule)));
  }
}

TEST_F(CudaRefusals, DeviceLengthsForPlansOfTheHost) {
  for (const Schedule schedule : kAllSchedules) {
    if (schedule == Schedule::kStream) continue;
    EXPECT_THAT(refused_step<Unsupported>(problem_->device_step(), schedule),
                HasSubstr("lengths are on the device, must be in host memory"));
  }
}

TEST_F(CudaRefusals, ShapesAndTypes) {
  Step step = problem_->device_step();
  step.dtype = DType::kF32;
  EXPECT_EQ(refused_step<Unsupported>(step), "dtype is fp32, must be one of fp16, bf16");
  for (const int head_dim : {1, 32, 72, 112, 192, 512}) {
    step = problem_->device_step();
    step.shape.head_dim = head_dim;
    EXPECT_EQ(refused_step<Unsupported>(step),
              fmt::format("head_dim is {}, must be one of 64, 80, 96, 128, 256", head_dim));
    EXPECT_THAT(thrown_by<Unsupported>([&] { (void)backend_->stream_workspace_bytes(step.shape, step.dtype); }),
                HasSubstr(fmt::format("head_dim is {}", head_dim)));
  }
  step = problem_->device_step();
  step.num_pages = std::int64_t{1} << 31;
  EXPECT_THAT(refused_step<Unsupported>(step), AllOf(HasSubstr("num_pages is 2147483648"), HasSubstr("below 2^31")));
}

TEST_F(CudaRefusals, Options) {
  const auto words = [&](const PlanOptions& options) {
    return thrown_by([&] { (void)backend_->prepare(problem_->device_step(), Schedule::kStream, options, {}); });
  };
  EXPECT_THAT(words({.tile_tokens = 0}), HasSubstr("tile_tokens is 0, must be"));
  EXPECT_THAT(words({.num_workers = -1}), HasSubstr("num_workers is -1, must be in [1, 1048576]"));
  EXPECT_THAT(words({.segment_cost_tokens = -1}), HasSubstr("segment_cost_tokens is -1, must be in"));
}

TEST_F(CudaRefusals, IndicesInHostMemoryLabelledAsTheDevices) {
  Step step = problem_->device_step();
  step.lengths.values.data = problem_->lengths().data();
  EXPECT_THAT(refused_step(step), AllOf(HasSubstr("lengths is 0x"), HasSubstr("must be device memory")));
  step = problem_->device_step();
  step.table.entries.data = problem_->entries().data();
  EXPECT_THAT(refused_step(step), AllOf(HasSubstr("page_table.entries is 0x"), HasSubstr("must be device memory")));
}

}  // namespace

}  // namespace pkv::testing
