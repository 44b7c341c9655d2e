#include "cuda_device.hpp"
#include "persistentkv/flashinfer/flashinfer_backend.hpp"

namespace pkv::cli {

std::vector<std::shared_ptr<Backend>> make_more_cuda_engines() {
  require_cuda_device();
  return {make_flashinfer_backend(Route::kFlashInferCudaCore), make_flashinfer_backend(Route::kFlashInferTensorCore)};
}

std::string_view flashinfer_build() noexcept { return kFlashInferVersion; }

}  // namespace pkv::cli
