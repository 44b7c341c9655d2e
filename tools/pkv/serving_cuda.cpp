#include "cuda_device.hpp"
#include "cuda_mlp/mlp_proxy.hpp"
#include "cuda_serving/cuda_platform.hpp"
#include "persistentkv/core/error.hpp"
#include "serving_platform.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace pkv::cli {

std::unique_ptr<serving::ServingPlatform> make_cuda_serving(const ServingPlatformOptions& options) {
  require_cuda_device();
  cuda_serving::CudaServingOptions wanted;
  wanted.routed = options.routed;
  wanted.max_active = options.max_active;
  wanted.run_layers = options.run_layers;
  return cuda_serving::make_cuda_platform(make_cuda_backend(), make_more_cuda_engines(), wanted);
}

serving::MlpTimes measure_cuda_mlp(std::int64_t max_batch) {
  try {
    cuda_mlp::MlpProxy proxy(static_cast<int>(max_batch));
    std::vector<serving::MlpPoint> points;
    for (std::int64_t batch = 1; batch < max_batch; batch *= 2) points.push_back({batch, 0.0});
    points.push_back({max_batch, 0.0});
    for (serving::MlpPoint& point : points) point.us = proxy.time_us(static_cast<int>(point.batch));
    return {std::move(points),
            fmt::format("measured here by cuBLAS {}: SwiGLU in FP16, {} to {}, at batches of 1, 2, 4 ... and {}",
                        proxy.cublas_version(), proxy.shape().hidden, proxy.shape().intermediate, max_batch)};
  } catch (const Unsupported& error) {
    return {{}, fmt::format("takes no time: {}", error.what())};
  }
}

}  // namespace pkv::cli
