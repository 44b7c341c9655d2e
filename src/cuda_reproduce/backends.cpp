#include "backends.hpp"

#include "cuda_support/check.hpp"
#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <utility>

namespace pkv::cuda_reproduce {

namespace {

std::vector<std::shared_ptr<Backend>> with_own(std::shared_ptr<Backend> own,
                                               const std::vector<std::shared_ptr<Backend>>& others) {
  std::vector<std::shared_ptr<Backend>> all{std::move(own)};
  all.insert(all.end(), others.begin(), others.end());
  return all;
}

}  // namespace

Backends::Backends(const std::optional<DeviceProfile>& profile, const std::vector<std::shared_ptr<Backend>>& others)
    : cuda_(make_cuda_backend()),
      all_(with_own(cuda_, others)),
      one_layer_(profile, all_, {.layers_per_plan = 1}),
      many_layers_(profile, all_) {}

std::string Backends::why_not(Route route, const AttentionShape& shape, int page_size) const {
  std::string reasons;
  if (route == Route::kPolicy || find(route, shape, page_size, reasons) != nullptr) return {};
  return reasons;
}

reproduce::RouteSpec Backends::choose(const Step& host_step, const reproduce::RouteSpec& spec,
                                      int layers_per_plan) const {
  if (spec.route != Route::kPolicy) return spec;
  const RuntimeDecision decision = (layers_per_plan == 1 ? one_layer_ : many_layers_).choose(host_step);
  return {decision.route, decision.splits};
}

std::unique_ptr<PreparedStep> Backends::prepare(const StepArrays& arrays, const reproduce::RouteSpec& spec,
                                                int layers_per_plan, cudaStream_t stream) {
  // What is done on the host after it hides behind the copy.
  const bool copied = !reproduce::is_flashinfer(spec.route);
  if (copied) arrays.upload(stream);

  const Step& step = arrays.host_step();
  const reproduce::RouteSpec chosen = choose(step, spec, layers_per_plan);
  PlanOptions options;
  options.splits = chosen.splits;
  if (chosen.route == Route::kStream) {  // our own, whatever others offer: it says itself what it does not run
    // On the host, as those do that are given everything there. Who chose has looked at the rows.
    if (spec.route == Route::kPolicy)
      step.validate_pages();
    else
      step.validate();
    options.tile_tokens = cuda_->capabilities().stream_tile_tokens;
    return cuda_->prepare(arrays.device_step(), Schedule::kStream, options, workspace(step.shape));
  }
  std::string reasons;
  Backend* backend = find(chosen.route, step.shape, step.page_size, reasons);
  if (backend == nullptr)
    throw Unsupported(fmt::format("nobody runs {} for this shape: {}", to_string(chosen.route), reasons));
  if (!copied || backend != cuda_.get()) return backend->prepare_route(step, chosen.route, options);
  step.validate();
  Step placed = arrays.device_step();
  placed.lengths = step.lengths;
  return cuda_->prepare_route(placed, chosen.route, options);
}

Backend* Backends::find(Route route, const AttentionShape& shape, int page_size, std::string& reasons) const {
  for (const auto& backend : all_) {
    const Capabilities& can = backend->capabilities();
    const std::string why =
        can.has_route(route) ? can.why_not(shape, DType::kF16, page_size) : std::string("has no such route");
    if (why.empty()) return backend.get();
    reasons += fmt::format("{}{}: {}", reasons.empty() ? "" : "; ", backend->name(), why);
  }
  return nullptr;
}

CudaWorkspace Backends::workspace(const AttentionShape& shape) {
  if (shape != workspace_shape_) {
    const std::size_t bytes = cuda_->stream_workspace_bytes(shape, DType::kF16);
    if (bytes > workspace_.size_bytes()) {
      workspace_ = cuda::DeviceBuffer(bytes);
      cuda::check(cudaMemset(workspace_.data(), 0, bytes), "cudaMemset");
      cuda::check(cudaDeviceSynchronize(), "cudaMemset");
    }
    workspace_shape_ = shape;
  }
  return {workspace_.data(), workspace_.size_bytes()};
}

}  // namespace pkv::cuda_reproduce
