#pragma once

// Serving runs in host memory, by the wall clock.

#include "routed.hpp"

#include <memory>
#include <string>

namespace pkv::serving {

/// For a backend that works in host memory. `num_threads` are those that read the limit: as in CpuBackendConfig. Throws
/// InvalidArgument where the pages do not fit in memory, Unsupported where the backend cannot serve the shape.
[[nodiscard]] std::unique_ptr<ServingPlatform> make_host_platform(std::shared_ptr<Backend> backend,
                                                                  const RoutedOptions& options, int num_threads,
                                                                  std::string name);

}  // namespace pkv::serving
