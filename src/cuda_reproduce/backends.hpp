#pragma once

// Who prepares which route.

#include "cuda_support/memory.hpp"
#include "persistentkv/cuda/cuda_backend.hpp"
#include "persistentkv/runtime/runtime.hpp"
#include "reproduce/bench.hpp"
#include "step_arrays.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pkv::cuda_reproduce {

/// Our own engine, others beside it, and the policy over all of them.
class Backends {
 public:
  Backends(const std::optional<DeviceProfile>& profile, const std::vector<std::shared_ptr<Backend>>& others);

  [[nodiscard]] const CudaDeviceInfo& device() const noexcept { return cuda_->device(); }
  [[nodiscard]] std::string why_not(Route route, const AttentionShape& shape, int page_size) const;
  /// The policy's choice, from lengths on the host, where so many layers share a plan; any other route as it is.
  [[nodiscard]] reproduce::RouteSpec choose(const Step& host_step, const reproduce::RouteSpec& spec,
                                            int layers_per_plan) const;
  /// Chooses, if that is to be done, and prepares. What goes to the GPU goes by `stream`, or before this returns.
  [[nodiscard]] std::unique_ptr<PreparedStep> prepare(const StepArrays& arrays, const reproduce::RouteSpec& spec,
                                                      int layers_per_plan, cudaStream_t stream);

 private:
  [[nodiscard]] Backend* find(Route route, const AttentionShape& shape, int page_size, std::string& reasons) const;
  [[nodiscard]] CudaWorkspace workspace(const AttentionShape& shape);

  std::shared_ptr<CudaBackend> cuda_;
  std::vector<std::shared_ptr<Backend>> all_;
  Runtime one_layer_, many_layers_;                // by what a plan serves
  cuda::DeviceBuffer workspace_;                   // of all steps of `stream`, which never run side by side
  std::optional<AttentionShape> workspace_shape_;  // the last one that it was found to be large enough for
};

}  // namespace pkv::cuda_reproduce
