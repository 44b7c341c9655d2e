#include "launch.hpp"

#include "cuda_support/check.hpp"

#include <cuda.h>

namespace pkv::cuda {

namespace {

using LaunchFunction = CUresult (*)(const CUlaunchConfig*, CUfunction, void**, void**);

/// The driver's, which a build does not link to: machines without a GPU have none.
LaunchFunction find_launch() {
  constexpr auto kName = "cuLaunchKernelEx";
  void* found = nullptr;
  cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSymbolNotFound;
#if CUDART_VERSION >= 12050
  check(cudaGetDriverEntryPointByVersion(kName, &found, 12000, cudaEnableDefault, &result), kName);
#else
  check(cudaGetDriverEntryPoint(kName, &found, cudaEnableDefault, &result), kName);
#endif
  if (result != cudaDriverEntryPointSuccess) check(cudaErrorCallRequiresNewerDriver, kName);
  return reinterpret_cast<LaunchFunction>(found);
}

}  // namespace

cudaFunction_t load_kernel(int device, const void* function) {
  const DeviceGuard guard(device);
  cudaFunction_t kernel = nullptr;
  check(cudaGetFuncBySymbol(&kernel, function), "cudaGetFuncBySymbol");
  return kernel;
}

void launch_kernel(const CudaDeviceInfo& device, cudaFunction_t kernel, const LaunchShape& shape, StreamHandle stream,
                   void** params) {
  static const LaunchFunction launch = find_launch();
  CUlaunchConfig config = {};
  config.gridDimX = static_cast<unsigned>(shape.ctas);
  config.blockDimX = static_cast<unsigned>(shape.threads);
  config.gridDimY = config.gridDimZ = config.blockDimY = config.blockDimZ = 1;
  config.sharedMemBytes = static_cast<unsigned>(shape.shared_bytes);
  config.hStream = static_cast<CUstream>(stream);
  CUlaunchAttribute attributes[2] = {};
  config.attrs = attributes;
  if (shape.dependent) {
    CUlaunchAttribute& dependent = attributes[config.numAttrs++];
    dependent.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
    dependent.value.programmaticStreamSerializationAllowed = 1;
  }
  if (shape.by_twos && device.compute_capability >= 90) {
    CUlaunchAttribute& cluster = attributes[config.numAttrs++];
    cluster.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
    cluster.value.clusterDim = {2, 1, 1};
  }
  CUresult status = launch(&config, kernel, params, nullptr);
  if (status == CUDA_ERROR_INVALID_CONTEXT) {  // a thread whose first use of the device this is
    check(cudaSetDevice(device.ordinal), "cudaSetDevice");
    status = launch(&config, kernel, params, nullptr);
  }
  check(static_cast<cudaError_t>(status), "cuLaunchKernelEx");  // the runtime numbers its errors as the driver does
}

}  // namespace pkv::cuda
