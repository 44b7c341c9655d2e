#pragma once

// What `pkv replay --serve` runs on.

#include "serving/mlp_times.hpp"
#include "serving/routed.hpp"

#include <cstdint>
#include <memory>

namespace pkv::cli {

struct ServingPlatformOptions {
  serving::RoutedOptions routed;
  std::int64_t max_active = 64;  ///< rows of a step at most
  int num_threads = 0;           ///< CPU; 0: all
  int run_layers = 4;            ///< GPU: layers that are run each step
};

/// Each throws Unsupported where its engine cannot serve the shape, InvalidArgument where the pages do not fit.
[[nodiscard]] std::unique_ptr<serving::ServingPlatform> make_cpu_serving(const ServingPlatformOptions& options);
/// Throws Unsupported in a build without CUDA.
[[nodiscard]] std::unique_ptr<serving::ServingPlatform> make_cuda_serving(const ServingPlatformOptions& options);

/// The MLP of a Llama-3.1-8B layer on this GPU, for batches up to `max_batch`; where cuBLAS is not found, times of 0
/// whose source says so.
[[nodiscard]] serving::MlpTimes measure_cuda_mlp(std::int64_t max_batch);

}  // namespace pkv::cli
