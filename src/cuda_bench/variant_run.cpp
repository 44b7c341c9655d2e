#include "variant_run.hpp"

#include "cuda_support/check.hpp"
#include "elapsed.hpp"
#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace pkv::cuda_bench {

using cuda::check;

VariantRun::VariantRun(Backend& backend, const Variant& variant, const RotatingSteps& steps,
                       const VariantTensors& tensors, int nodes, cudaStream_t stream)
    : backend_(backend), variant_(variant), steps_(steps), tensors_(tensors), nodes_(nodes), stream_(stream) {
  if (auto* own = dynamic_cast<CudaBackend*>(&backend); own != nullptr && variant.route == Route::kStream) {
    const Step& step = steps.front()->step();
    workspace_bytes_ = own->stream_workspace_bytes(step.shape, step.dtype, variant.options.num_workers);
    workspace_ = cuda::DeviceArray<unsigned char>(static_cast<std::int64_t>(workspace_bytes_));
    check(cudaMemset(workspace_.get(), 0, workspace_bytes_), "cudaMemset");
    check(cudaDeviceSynchronize(), "cudaMemset");
  }
  prepared_.reserve(steps.size());
  for (const auto& step : steps) prepared_.push_back(prepare(*step));
  // Once more, in memory that is there by now, as in an engine that has run a while.
  for (std::size_t i = 0; i < steps.size(); ++i) {
    prepared_[i].reset();
    const auto begin = std::chrono::steady_clock::now();
    prepared_[i] = prepare(*steps[i]);
    const double us = elapsed_us(begin);
    plan_us_ = plan_us_ == 0.0 ? us : std::min(plan_us_, us);
  }
  if (variant.pdl && dynamic_cast<CudaPreparedStep*>(prepared_.front().get()) == nullptr)
    throw Unsupported(fmt::format("{} has no programmatic dependent launch", to_string(variant.route)));
  graph_.emplace(stream, [&] { run_all(); });
}

std::unique_ptr<PreparedStep> VariantRun::prepare(const DeviceStep& step) {
  if (workspace_bytes_ > 0) {
    return dynamic_cast<CudaBackend&>(backend_).prepare(step.step(), Schedule::kStream, variant_.options,
                                                        CudaWorkspace{workspace_.get(), workspace_bytes_});
  }
  const bool on_device = backend_.capabilities().takes_device_lengths(variant_.route);
  return backend_.prepare_route(on_device ? step.step() : step.host_step(), variant_.route, variant_.options);
}

void VariantRun::run_node(int node) {
  const auto which = static_cast<std::size_t>(node) % steps_.size();
  const Layer layer = Layer::dense(steps_[which]->step(), tensors_.kv, tensors_.q,
                                   tensors_.outs + std::int64_t{node} * tensors_.out_bytes);
  PreparedStep& step = *prepared_[which];
  if (variant_.pdl)
    dynamic_cast<CudaPreparedStep&>(step).run(layer, stream_, {.programmatic_dependent_launch = true});
  else
    step.run(layer, stream_);
}

void VariantRun::run_all() {
  for (int node = 0; node < nodes_; ++node) run_node(node);
}

}  // namespace pkv::cuda_bench
