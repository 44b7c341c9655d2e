#pragma once

// Launches, by the driver's own call: the runtime's looks its kernel up each time (docs/design/cuda-engine.md).

#include "persistentkv/cuda/cuda_backend.hpp"

#include <cuda_runtime_api.h>

namespace pkv::cuda {

/// A kernel of this build, on a device. Throws CudaError.
[[nodiscard]] cudaFunction_t load_kernel(int device, const void* function);

struct LaunchShape {
  int ctas = 0;
  int threads = 0;  ///< of a CTA
  int shared_bytes = 0;
  bool dependent = false;  ///< by programmatic dependent launch
  /// By clusters of two CTAs, where the device has them: at the same time, and on neighbouring SMs, which seem to ask
  /// L2 once for what both read (docs/design/cuda-engine.md). Then `ctas` is even.
  bool by_twos = false;
};

/// `kernel` is of `device`, which is current. Throws CudaError.
void launch_kernel(const CudaDeviceInfo& device, cudaFunction_t kernel, const LaunchShape& shape, StreamHandle stream,
                   void** params);

}  // namespace pkv::cuda
