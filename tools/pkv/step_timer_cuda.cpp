#include "cuda_calibrate/cuda_timer.hpp"
#include "cuda_device.hpp"
#include "report/machine.hpp"
#include "step_timers.hpp"

#include <fmt/format.h>

namespace pkv::cli {

std::unique_ptr<calibrate::StepTimer> make_cuda_step_timer(const TimerOptions& options) {
  require_cuda_device();
  calibrate::CudaTimerConfig config;
  config.more_backends = make_more_cuda_engines();
  config.pdl = options.pdl;
  config.stream_tile_tokens = kCudaStreamTileTokens;
  const nlohmann::ordered_json gpu = report::describe_gpu();
  config.driver =
      fmt::format("driver for CUDA {}; built with {}, {}", gpu["cuda_driver"].get<std::string>(), report::cuda_build(),
                  flashinfer_build().empty() ? "without FlashInfer" : fmt::format("FlashInfer {}", flashinfer_build()));
  return calibrate::make_cuda_timer(config);
}

}  // namespace pkv::cli
