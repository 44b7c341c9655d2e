#include "persistentkv/cuda/cuda_backend.hpp"

#include "cuda_support/check.hpp"
#include "listed_step.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/engine/step_plan.hpp"
#include "stream_step.hpp"
#include "tile_table.hpp"

#include <fmt/format.h>

namespace pkv {

namespace {

using namespace cuda;

Capabilities make_capabilities() {
  Capabilities capabilities;
  capabilities.schedules.assign(kAllSchedules.begin(), kAllSchedules.end());
  capabilities.device_lengths = {Schedule::kStream};
  capabilities.device_table = true;
  capabilities.stream_tile_tokens = 16;
  capabilities.dtypes = {DType::kF16, DType::kBF16};
  for (const TileChoice& choice : kTileTable) capabilities.head_dims.push_back(choice.head_dim);
  capabilities.alignment_bytes = 16;
  capabilities.any_plan = true;
  return capabilities;
}

void require_host_lengths(const Step& step) {
  if (step.lengths.values && step.lengths.values.space != MemorySpace::kHost)
    throw Unsupported("lengths are on the device, must be in host memory for every schedule but stream");
}

class Engine final : public CudaBackend {
 public:
  explicit Engine(const CudaBackendConfig& config)
      : context_(std::make_shared<CudaContext>(config)), capabilities_(make_capabilities()) {}

  [[nodiscard]] std::string_view name() const noexcept override { return "cuda"; }
  [[nodiscard]] const Capabilities& capabilities() const noexcept override { return capabilities_; }
  [[nodiscard]] const CudaDeviceInfo& device() const noexcept override { return context_->device(); }

  [[nodiscard]] std::size_t stream_workspace_bytes(const AttentionShape& shape, DType dtype,
                                                   int num_workers) const override {
    shape.validate();
    const GroupCut group = GroupCut::of(shape.group_size(), kernels(shape, dtype, 1).max_blocks);
    const int workers = num_workers > 0 ? num_workers : context_->stream_ctas();
    return StreamWorkspace::of(workers, group.blocks, shape.head_dim).size_bytes;
  }

  [[nodiscard]] std::unique_ptr<PreparedStep> prepare(const Step& step, Schedule schedule,
                                                      const PlanOptions& options) override {
    if (schedule == Schedule::kStream) return prepare(step, schedule, options, {});
    require_host_lengths(step);
    const DecodeKernels& found = check(step);
    const WorkPlan plan = make_step_plan(step, schedule, options);
    const DeviceGuard guard(device().ordinal);
    return std::make_unique<ListedStep>(context_, step, plan, found);
  }

  [[nodiscard]] std::unique_ptr<PreparedStep> prepare(const Step& step, WorkPlan plan) override {
    require_host_lengths(step);
    const DecodeKernels& found = check(step);
    require_plan_of(step, plan);
    const DeviceGuard guard(device().ordinal);
    return std::make_unique<ListedStep>(context_, step, plan, found);
  }

  [[nodiscard]] std::unique_ptr<CudaPreparedStep> prepare(const Step& step, Schedule schedule,
                                                          const PlanOptions& options,
                                                          const CudaWorkspace& workspace) override {
    if (schedule != Schedule::kStream)
      throw Unsupported(
          fmt::format("schedule is {}, a workspace of the caller's serves stream only", to_string(schedule)));
    const DecodeKernels& found = check(step);
    const DeviceGuard guard(device().ordinal);
    return std::make_unique<StreamStep>(context_, step, options, found, workspace);
  }

 private:
  [[nodiscard]] const DecodeKernels& check(const Step& step) const {
    step.validate();
    if (step.num_pages > INT32_MAX)
      throw Unsupported(fmt::format("num_pages is {}, must be below 2^31", step.num_pages));
    return kernels(step.shape, step.dtype, step.page_size);
  }

  [[nodiscard]] const DecodeKernels& kernels(const AttentionShape& shape, DType dtype, int page_size) const {
    if (const std::string why = capabilities_.why_not(shape, dtype, page_size); !why.empty()) throw Unsupported(why);
    return *find_kernels(dtype, shape.head_dim);
  }

  std::shared_ptr<CudaContext> context_;
  Capabilities capabilities_;
};

}  // namespace

ExecutedCounters CudaPreparedStep::executed_for(std::span<const std::int32_t> /*lengths*/) const { return executed(); }

std::unique_ptr<CudaBackend> make_cuda_backend(const CudaBackendConfig& config) {
  return std::make_unique<Engine>(config);
}

}  // namespace pkv
