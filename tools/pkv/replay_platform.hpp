#pragma once

// What `pkv replay` runs on.

#include "cuda_device.hpp"
#include "persistentkv/engine/backend.hpp"
#include "replay/device.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace pkv::cli {

struct PlatformOptions {
  AttentionShape shape;
  DType dtype = DType::kF16;
  int page_size = 16;
  std::int64_t num_pages = 0;
  std::uint32_t seed = 1;
  int num_threads = 0;  ///< CPU; 0: all
};

struct ReplayPlatform {
  std::unique_ptr<Backend> engine;
  std::unique_ptr<replay::ReplayDevice> device;  ///< over `engine`
  std::string name;                              ///< for people
  int num_sms = 28;                              ///< that CTAs are divided by
};

/// Each throws Unsupported where its engine cannot serve the shape, InvalidArgument where the pages do not fit.
[[nodiscard]] ReplayPlatform make_cpu_platform(const PlatformOptions& options);
/// Throws Unsupported in a build without CUDA.
[[nodiscard]] ReplayPlatform make_cuda_platform(const PlatformOptions& options);

}  // namespace pkv::cli
