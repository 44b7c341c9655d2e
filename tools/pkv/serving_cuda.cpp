#include "cuda_device.hpp"
#include "serving_platform.hpp"

namespace pkv::cli {

std::unique_ptr<serving::ServingPlatform> make_cuda_serving(const ServingPlatformOptions& /*options*/) {
  require_cuda_device();
  return nullptr;
}

}  // namespace pkv::cli
