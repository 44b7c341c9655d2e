#pragma once

#include "persistentkv/core/error.hpp"

#include <cuda_runtime_api.h>

#include <memory>
#include <string>

namespace pkv::cuda_bench {

inline void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  (void)cudaGetLastError();
  throw CudaError(std::string(what) + ": " + cudaGetErrorString(status));
}

struct FreeDevice {
  void operator()(void* data) const noexcept { (void)cudaFree(data); }
};

/// Device memory of `count` elements.
template <class T>
class DeviceArray {
 public:
  DeviceArray() = default;
  explicit DeviceArray(std::int64_t count) {
    void* data = nullptr;
    if (count > 0) check(cudaMalloc(&data, static_cast<std::size_t>(count) * sizeof(T)), "cudaMalloc");
    data_.reset(static_cast<T*>(data));
  }
  template <class Container>
  static DeviceArray of(const Container& values) {
    DeviceArray array(static_cast<std::int64_t>(values.size()));
    check(cudaMemcpy(array.get(), values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice), "cudaMemcpy");
    return array;
  }
  [[nodiscard]] T* get() const noexcept { return data_.get(); }

 private:
  std::unique_ptr<T, FreeDevice> data_;
};

}  // namespace pkv::cuda_bench
