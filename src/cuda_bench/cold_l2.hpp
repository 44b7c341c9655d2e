#pragma once

#include "cuda_support/memory.hpp"
#include "persistentkv/cuda/cuda_backend.hpp"

#include <cuda_runtime_api.h>

#include <cstdint>
#include <string>

namespace pkv::cuda_bench {

/// Empties a GPU's L2 by reading other memory through it.
class ColdL2 {
 public:
  /// Memory on the current device, which `device` describes. Throws CudaError.
  explicit ColdL2(const CudaDeviceInfo& device);

  /// What one takes.
  [[nodiscard]] static std::int64_t size_bytes(const CudaDeviceInfo& device) noexcept;

  /// Puts the reads into the stream. They take long enough for the host to put a step's launches behind them.
  void evict(cudaStream_t stream);

  /// For people.
  [[nodiscard]] std::string describe() const;

 private:
  std::int64_t bytes_;
  int num_sms_;
  cuda::DeviceArray<unsigned char> memory_;
};

}  // namespace pkv::cuda_bench
