#include "persistentkv/flashinfer/flashinfer_backend.hpp"

#include "cuda_support/check.hpp"
#include "flashinfer_step.hpp"
#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <iterator>
#include <utility>

namespace pkv {

namespace {

void require_on_host(const char* name, const IndexView& view) {
  if (view && view.space != MemorySpace::kHost)
    throw Unsupported(fmt::format("{} are on the device, must be in host memory for FlashInfer's planner", name));
}

class FlashInferBackend final : public Backend {
 public:
  FlashInferBackend(Route route, std::shared_ptr<fi::Context> context)
      : route_(route), context_(std::move(context)), capabilities_(flashinfer_capabilities(route)) {}

  [[nodiscard]] std::string_view name() const noexcept override { return to_string(route_); }
  [[nodiscard]] const Capabilities& capabilities() const noexcept override { return capabilities_; }
  [[nodiscard]] std::string_view device_name() const noexcept override { return context_->device().name; }

  [[nodiscard]] std::unique_ptr<PreparedStep> prepare_route(const Step& step, Route route,
                                                            const PlanOptions& options) override {
    if (route != route_) return Backend::prepare_route(step, route, options);
    step.validate();
    if (const std::string why = capabilities_.why_not(step.shape, step.dtype, step.page_size); !why.empty())
      throw Unsupported(why);
    require_on_host("lengths", step.lengths.values);
    require_on_host("page_table.entries", step.table.entries);
    require_on_host("page_table.row_offsets", step.table.row_offsets);
    require_on_host("page_table.row_ids", step.table.row_ids);
    const cuda::DeviceGuard guard(context_->device().ordinal);
    return std::make_unique<fi::FlashInferStep>(context_, route_,
                                                *fi::find_path(route_, step.dtype, step.shape.head_dim), step);
  }

  [[nodiscard]] std::unique_ptr<PreparedStep> prepare(const Step& /*step*/, Schedule schedule,
                                                      const PlanOptions& /*options*/) override {
    throw Unsupported(fmt::format("schedule is {}, FlashInfer has plans of its own only", to_string(schedule)));
  }
  [[nodiscard]] std::unique_ptr<PreparedStep> prepare(const Step& /*step*/, WorkPlan /*plan*/) override {
    throw Unsupported("FlashInfer has plans of its own only, and takes none of ours");
  }

 private:
  Route route_;
  std::shared_ptr<fi::Context> context_;
  Capabilities capabilities_;
};

}  // namespace

Capabilities flashinfer_capabilities(Route route) {
  Capabilities can;
  can.own_routes = {route};
  can.dtypes = {DType::kF16, DType::kBF16};
  can.head_dims.assign(std::begin(fi::kHeadDims), std::end(fi::kHeadDims));
  can.alignment_bytes = static_cast<int>(cuda::kTensorAlignmentBytes);
  can.separate_kv_strides = false;
  switch (route) {
    case Route::kFlashInferCudaCore:
      can.group_sizes.assign(std::begin(fi::kCudaCoreGroups), std::end(fi::kCudaCoreGroups));
      return can;
    case Route::kFlashInferTensorCore:
      can.max_group_size = fi::kTensorCoreMaxTileQ;
      return can;
    default:
      throw InvalidArgument(fmt::format("route is {}, must be one of {}, {}", to_string(route),
                                        to_string(Route::kFlashInferCudaCore),
                                        to_string(Route::kFlashInferTensorCore)));
  }
}

std::unique_ptr<Backend> make_flashinfer_backend(Route route, int device) {
  (void)flashinfer_capabilities(route);
  if (cuda_device_count() == 0)
    throw CudaError("no CUDA device: there is no NVIDIA GPU here, or its driver is too old");
  if (device >= cuda_device_count()) {
    throw InvalidArgument(
        fmt::format("device is {}, must be below the number of CUDA devices, {}", device, cuda_device_count()));
  }
  CudaDeviceInfo info = cuda_device_info(device);
  if (info.compute_capability < 80) {
    throw Unsupported(fmt::format("{} has compute capability {}.{}, must be at least 8.0", info.name,
                                  info.compute_capability / 10, info.compute_capability % 10));
  }
  const cuda::DeviceGuard guard(info.ordinal);
  return std::make_unique<FlashInferBackend>(route, std::make_shared<fi::Context>(std::move(info)));
}

}  // namespace pkv
