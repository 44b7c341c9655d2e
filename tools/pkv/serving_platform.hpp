#pragma once

// What `pkv replay --serve` runs on.

#include "serving/routed.hpp"

#include <cstdint>
#include <memory>

namespace pkv::cli {

struct ServingPlatformOptions {
  serving::RoutedOptions routed;
  std::int64_t max_active = 64;  ///< rows of a step at most
  int num_threads = 0;           ///< CPU; 0: all
};

/// Each throws Unsupported where its engine cannot serve the shape, InvalidArgument where the pages do not fit.
[[nodiscard]] std::unique_ptr<serving::ServingPlatform> make_cpu_serving(const ServingPlatformOptions& options);
/// Throws Unsupported in a build without CUDA.
[[nodiscard]] std::unique_ptr<serving::ServingPlatform> make_cuda_serving(const ServingPlatformOptions& options);

}  // namespace pkv::cli
