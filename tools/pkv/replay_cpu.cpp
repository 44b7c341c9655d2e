#include "persistentkv/core/error.hpp"
#include "persistentkv/cpu/cpu_backend.hpp"
#include "replay/host_device.hpp"
#include "replay_platform.hpp"

#include <fmt/format.h>

#include <utility>

namespace pkv::cli {

ReplayPlatform make_cpu_platform(const PlatformOptions& options) {
  std::unique_ptr<Backend> engine = make_cpu_backend({.num_threads = options.num_threads, .simd_target = {}});
  if (const std::string why = engine->capabilities().why_not(options.shape, options.dtype, options.page_size);
      !why.empty())
    throw Unsupported(why);
  auto device = std::make_unique<replay::HostDevice>(*engine, options.shape, options.dtype, options.page_size,
                                                     options.num_pages, options.seed, options.num_threads);
  std::string name = fmt::format("cpu, {} threads, {}", device->num_threads(), cpu_simd_target());
  return {.engine = std::move(engine), .device = std::move(device), .name = std::move(name)};
}

}  // namespace pkv::cli
