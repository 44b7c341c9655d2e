#include "conformance/suite.hpp"
#include "cuda/device_memory.hpp"
#include "persistentkv/cuda/cuda_backend.hpp"

#include <gtest/gtest.h>

#include <cstdio>

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  const auto memory = std::make_shared<pkv::testing::DeviceMemory>();
  const auto put_under = [&](const char* name, const pkv::CudaBackendConfig& config) {
    pkv::conformance::register_suite({name,
                                      [config]() -> std::unique_ptr<pkv::Backend> {
                                        if (pkv::cuda_device_count() == 0)
                                          throw pkv::conformance::NoBackend("no CUDA device on this machine");
                                        return pkv::make_cuda_backend(config);
                                      },
                                      memory});
  };
  put_under("cuda", {});
  // A commodity GPU, imitated: 28 SMs, 99 KB of shared memory a CTA.
  put_under("cuda_small", {.device = -1, .max_ctas = 28, .max_warps = 0, .max_shared_bytes = 99 << 10});
  return RUN_ALL_TESTS();
}
