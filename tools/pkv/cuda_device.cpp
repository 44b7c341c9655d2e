#include "cuda_device.hpp"

#include "persistentkv/core/error.hpp"
#include "persistentkv/cuda/cuda_backend.hpp"
#include "report/machine.hpp"

#include <fmt/format.h>

#include <string>

namespace pkv::cli {

void require_cuda_device(const char* otherwise) {
  if (cuda_device_count() > 0) return;
  const nlohmann::ordered_json gpu = report::describe_gpu();  // of the driver alone, whatever the toolkit
  if (gpu.is_null())
    throw Unsupported(
        fmt::format("no CUDA device: no NVIDIA driver answers, or it shows this process no GPU{}", otherwise));
  throw Unsupported(
      fmt::format("no CUDA device: the driver of {} is for CUDA {}, too old for this build, which is {}; update the "
                  "driver, or build "
                  "with an older toolkit",
                  gpu["name"].get<std::string>(), gpu["cuda_driver"].get<std::string>(), report::cuda_build()));
}

std::unique_ptr<Backend> make_cuda_engine() {
  require_cuda_device();
  return make_cuda_backend();
}

}  // namespace pkv::cli
