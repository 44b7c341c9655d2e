#include "cuda_replay/cuda_device.hpp"
#include "persistentkv/core/error.hpp"
#include "replay_platform.hpp"

#include <fmt/format.h>

#include <utility>

namespace pkv::cli {

ReplayPlatform make_cuda_platform(const PlatformOptions& options) {
  std::unique_ptr<CudaBackend> engine = make_cuda_backend();
  if (const std::string why = engine->capabilities().why_not(options.shape, options.dtype, options.page_size);
      !why.empty())
    throw Unsupported(why);
  const CudaDeviceInfo& gpu = engine->device();
  std::unique_ptr<replay::ReplayDevice> device =
      cuda_replay::make_cuda_device(*engine, make_more_cuda_engines(), options.shape, options.dtype, options.page_size,
                                    options.num_pages, options.seed);
  std::string name = fmt::format("cuda, {}, {} SMs", gpu.name, gpu.num_sms);
  const int num_sms = gpu.num_sms;
  return {.engine = std::move(engine), .device = std::move(device), .name = std::move(name), .num_sms = num_sms};
}

}  // namespace pkv::cli
