#include "conformance/suite.hpp"
#include "cuda/device_memory.hpp"
#include "persistentkv/flashinfer/flashinfer_backend.hpp"

#include <gtest/gtest.h>

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  const auto memory = std::make_shared<pkv::testing::DeviceMemory>();
  const auto put_under = [&](const char* name, pkv::Route route, double lse_limit) {
    pkv::conformance::register_suite({name,
                                      [route]() -> std::unique_ptr<pkv::Backend> {
                                        if (pkv::cuda_device_count() == 0)
                                          throw pkv::conformance::NoBackend("no CUDA device on this machine");
                                        return pkv::make_flashinfer_backend(route);
                                      },
                                      memory, lse_limit});
  };
  put_under("flashinfer_cuda_core", pkv::Route::kFlashInferCudaCore, pkv::conformance::kLseLimit);
  // Its sums are those of P in 16 bits: half a unit in the last place of bf16, if every error has one sign.
  put_under("flashinfer_tensor_core", pkv::Route::kFlashInferTensorCore, 4e-3);
  return RUN_ALL_TESTS();
}
