#include "persistentkv/cpu/cpu_backend.hpp"
#include "serving/host_platform.hpp"
#include "serving_platform.hpp"

#include <fmt/format.h>

#include <utility>

namespace pkv::cli {

std::unique_ptr<serving::ServingPlatform> make_cpu_serving(const ServingPlatformOptions& options) {
  std::shared_ptr<Backend> backend = make_cpu_backend({.num_threads = options.num_threads, .simd_target = {}});
  return serving::make_host_platform(std::move(backend), options.routed, options.num_threads,
                                     fmt::format("cpu, {}", cpu_simd_target()));
}

}  // namespace pkv::cli
