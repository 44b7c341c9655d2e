#pragma once

// Serving runs in a GPU's memory, by the GPU's clock.

#include "persistentkv/cuda/cuda_backend.hpp"
#include "serving/routed.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace pkv::cuda_serving {

struct CudaServingOptions {
  serving::RoutedOptions routed;
  std::int64_t max_active = 64;  ///< rows of a step at most
  int run_layers = 4;  ///< that are run each step, one after the other, each over pages of its own: a layer's time is
                       ///< their mean, so that what an event costs is shared
};

/// On the engine's device. `more_backends` run the routes that it has not, on the same device, and make
/// CudaPreparedSteps. Lengths and block table are there before anything is timed, as a serving engine holds them, and
/// on the host too; each route takes them from where it can. Throws InvalidArgument where the pages do not fit in the
/// GPU's memory, Unsupported where the engine cannot serve the shape.
[[nodiscard]] std::unique_ptr<serving::ServingPlatform> make_cuda_platform(
    const std::shared_ptr<CudaBackend>& engine, std::vector<std::shared_ptr<Backend>> more_backends,
    const CudaServingOptions& options);

}  // namespace pkv::cuda_serving
