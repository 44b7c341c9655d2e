#pragma once

#include <cuda_runtime_api.h>

namespace pkv::cuda {

/// Throws CudaError naming `what` unless `status` is success, and clears the runtime's last error.
void check(cudaError_t status, const char* what);

/// Makes a device current for as long as it lives, and puts back the one that was.
class DeviceGuard {
 public:
  explicit DeviceGuard(int device);
  ~DeviceGuard();
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

 private:
  int previous_ = -1;  // -1: nothing to put back
};

}  // namespace pkv::cuda
