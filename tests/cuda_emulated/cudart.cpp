// The CUDA runtime, as far as the engine and its tests use it, of a machine with one emulated GPU: memory is the
// host's, what is launched is done at once, and graphs are lists of calls.

#include "simt.hpp"

#include <cuda.h>
#include <cuda_runtime_api.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iterator>
#include <map>
#include <mutex>
#include <new>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using pkv::emulation::find_kernel;
using Call = std::function<void()>;

constexpr int kSms = 40;                              // more than 32 CTAs can share a unit
constexpr std::size_t kStaticSharedBytes = 16 << 10;  // not measured: enough for each kernel's

struct Stream {
  bool captures = false;
  std::vector<Call> calls;
};
struct Graph {
  std::vector<Call> calls;
};
struct Event {
  std::chrono::steady_clock::time_point at;
};

std::mutex guard;
std::map<const char*, std::size_t> allocations;
thread_local cudaError_t last = cudaSuccess;

cudaError_t say(cudaError_t error) {
  if (error != cudaSuccess) last = error;
  return error;
}

Stream* own(cudaStream_t stream) { return reinterpret_cast<Stream*>(stream); }
bool captures(cudaStream_t stream) { return stream != nullptr && own(stream)->captures; }

/// Now, or when the graph is launched that `stream` captures.
template <class Do>
cudaError_t put(cudaStream_t stream, Do call) {
  if (captures(stream)) {
    own(stream)->calls.push_back(std::move(call));
    return cudaSuccess;
  }
  try {
    call();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "emulated kernel: %s\n", e.what());
    return say(cudaErrorLaunchFailure);
  }
  return cudaSuccess;
}

CUresult launch_kernel_ex(const CUlaunchConfig* config, CUfunction kernel, void** params, void**) {
  const pkv::emulation::Thunk* thunk = find_kernel(kernel);
  if (thunk == nullptr || config->sharedMemBytes > pkv::emulation::kSharedBytes) return CUDA_ERROR_INVALID_VALUE;
  return static_cast<CUresult>(
      put(config->hStream, [grid = config->gridDimX, block = config->blockDimX, call = (*thunk)(params)] {
        pkv::emulation::launch(grid, block, call);
      }));
}

}  // namespace

extern "C" {

cudaError_t CUDARTAPI cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaSetDevice(int device) { return say(device == 0 ? cudaSuccess : cudaErrorInvalidDevice); }
cudaError_t CUDARTAPI cudaGetDeviceProperties(cudaDeviceProp* prop, int) {
  *prop = {};
  std::strncpy(prop->name, "emulated GPU", sizeof(prop->name) - 1);
  prop->major = 9;
  prop->multiProcessorCount = kSms;
  prop->sharedMemPerBlockOptin = pkv::emulation::kSharedBytes;
  prop->l2CacheSize = 1 << 20;
  prop->totalGlobalMem = std::size_t{16} << 30;
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaMemGetInfo(size_t* free, size_t* total) {
  *free = *total = std::size_t{16} << 30;
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaDeviceSynchronize() { return cudaSuccess; }
cudaError_t CUDARTAPI cudaGetLastError() { return std::exchange(last, cudaSuccess); }
const char* CUDARTAPI cudaGetErrorString(cudaError_t) { return "as the emulated runtime says"; }
const char* CUDARTAPI cudaGetErrorName(cudaError_t error) { return error == cudaSuccess ? "cudaSuccess" : "an error"; }

cudaError_t CUDARTAPI cudaMalloc(void** memory, size_t size) {
  *memory = std::aligned_alloc(512, (size + 511) / 512 * 512);
  if (*memory == nullptr) return say(cudaErrorMemoryAllocation);
  std::memset(*memory, 0xa5, size);
  const std::scoped_lock lock(guard);
  allocations[static_cast<const char*>(*memory)] = size;
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaFree(void* memory) {
  const std::scoped_lock lock(guard);
  allocations.erase(static_cast<const char*>(memory));
  std::free(memory);
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaMallocHost(void** memory, size_t size) {
  *memory = std::malloc(size);
  return say(*memory == nullptr ? cudaErrorMemoryAllocation : cudaSuccess);
}
cudaError_t CUDARTAPI cudaFreeHost(void* memory) {
  std::free(memory);
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  *attributes = {};
  const std::scoped_lock lock(guard);
  const auto* at = static_cast<const char*>(pointer);
  auto after = allocations.upper_bound(at);
  const bool known = after != allocations.begin() && at < std::prev(after)->first + std::prev(after)->second;
  attributes->type = known ? cudaMemoryTypeDevice : cudaMemoryTypeUnregistered;
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaMemcpy(void* to, const void* from, size_t size, cudaMemcpyKind) {
  std::memmove(to, from, size);
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaMemcpyAsync(void* to, const void* from, size_t size, cudaMemcpyKind, cudaStream_t stream) {
  return put(stream, [=] { std::memmove(to, from, size); });
}
cudaError_t CUDARTAPI cudaMemset(void* to, int value, size_t size) {
  std::memset(to, value, size);
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaMemsetAsync(void* to, int value, size_t size, cudaStream_t stream) {
  return put(stream, [=] { std::memset(to, value, size); });
}

cudaError_t CUDARTAPI cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = reinterpret_cast<cudaStream_t>(new Stream);
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaStreamDestroy(cudaStream_t stream) {
  delete own(stream);
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
cudaError_t CUDARTAPI cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) { return cudaSuccess; }
cudaError_t CUDARTAPI cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  *status = captures(stream) ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode*) { return cudaSuccess; }
cudaError_t CUDARTAPI cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  own(stream)->captures = true;
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  own(stream)->captures = false;
  *graph = reinterpret_cast<cudaGraph_t>(new Graph{std::exchange(own(stream)->calls, {})});
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  *executable = reinterpret_cast<cudaGraphExec_t>(new Graph(*reinterpret_cast<Graph*>(graph)));
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  for (const Call& call : reinterpret_cast<Graph*>(executable)->calls)
    if (const cudaError_t error = put(stream, call); error != cudaSuccess) return error;
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaGraphDestroy(cudaGraph_t graph) {
  delete reinterpret_cast<Graph*>(graph);
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete reinterpret_cast<Graph*>(executable);
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaEventCreate(cudaEvent_t* event) {
  *event = reinterpret_cast<cudaEvent_t>(new Event);
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) { return cudaEventCreate(event); }
cudaError_t CUDARTAPI cudaEventDestroy(cudaEvent_t event) {
  delete reinterpret_cast<Event*>(event);
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaEventRecord(cudaEvent_t event, cudaStream_t) {
  reinterpret_cast<Event*>(event)->at = std::chrono::steady_clock::now();
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
cudaError_t CUDARTAPI cudaEventElapsedTime(float* ms, cudaEvent_t begin, cudaEvent_t end) {
  const auto time = reinterpret_cast<Event*>(end)->at - reinterpret_cast<Event*>(begin)->at;
  *ms = std::chrono::duration<float, std::milli>(time).count();
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* function) {
  *attributes = {};
  attributes->sharedSizeBytes = kStaticSharedBytes;
  attributes->ptxVersion = 90;
  return say(find_kernel(function) != nullptr ? cudaSuccess : cudaErrorInvalidDeviceFunction);
}
cudaError_t CUDARTAPI cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void*, int, size_t) {
  *blocks = 1;
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaOccupancyMaxActiveClusters(int* clusters, const void*, const cudaLaunchConfig_t*) {
  *clusters = kSms / 2;
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaFuncSetAttribute(const void*, cudaFuncAttribute, int) { return cudaSuccess; }
cudaError_t CUDARTAPI cudaGetFuncBySymbol(cudaFunction_t* kernel, const void* function) {
  *kernel = reinterpret_cast<cudaFunction_t>(const_cast<void*>(function));
  return say(find_kernel(function) != nullptr ? cudaSuccess : cudaErrorInvalidDeviceFunction);
}
#if CUDART_VERSION >= 12050
cudaError_t CUDARTAPI cudaGetDriverEntryPointByVersion(const char* name, void** entry, unsigned, unsigned long long,
                                                       cudaDriverEntryPointQueryResult* result) {
#else
cudaError_t CUDARTAPI cudaGetDriverEntryPoint(const char* name, void** entry, unsigned long long,
                                              cudaDriverEntryPointQueryResult* result) {
#endif
  *entry = std::string_view(name) == "cuLaunchKernelEx" ? reinterpret_cast<void*>(&launch_kernel_ex) : nullptr;
  *result = *entry != nullptr ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
  return cudaSuccess;
}

}  // extern "C"
