#include "machine.hpp"

#include <dlfcn.h>

#include <cstddef>
#include <memory>
#include <string>

namespace pkv::report {

namespace {

// The few declarations of the driver API that are needed here; its header comes with a toolkit, its library with a
// driver.
using CuResult = int;
using CuDevice = int;
constexpr int kMultiprocessorCount = 16;
constexpr int kL2CacheBytes = 38;
constexpr int kComputeMajor = 75;
constexpr int kComputeMinor = 76;
constexpr int kSharedMemoryPerBlockOptin = 97;

class Driver {
 public:
  Driver() : library_(dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL)) {}
  ~Driver() {
    if (library_ != nullptr) dlclose(library_);
  }
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  template <class... Args>
  [[nodiscard]] bool call(const char* name, Args... args) const {
    if (library_ == nullptr) return false;
    auto* function = reinterpret_cast<CuResult (*)(Args...)>(dlsym(library_, name));
    return function != nullptr && function(args...) == 0;
  }
  [[nodiscard]] int attribute(int which, CuDevice device) const {
    int value = 0;
    return call("cuDeviceGetAttribute", &value, which, device) ? value : 0;
  }

 private:
  void* library_;
};

}  // namespace

nlohmann::ordered_json describe_gpu() {
  const Driver driver;
  int count = 0;
  int version = 0;
  CuDevice device = 0;
  char name[256] = {};
  std::size_t memory_bytes = 0;
  if (!driver.call("cuInit", 0U) || !driver.call("cuDeviceGetCount", &count) || count == 0 ||
      !driver.call("cuDeviceGet", &device, 0) ||
      !driver.call("cuDeviceGetName", static_cast<char*>(name), static_cast<int>(sizeof name - 1), device))
    return nullptr;
  (void)driver.call("cuDriverGetVersion", &version);
  (void)driver.call("cuDeviceTotalMem_v2", &memory_bytes, device);
  const int major = driver.attribute(kComputeMajor, device);
  const int minor = driver.attribute(kComputeMinor, device);
  return {{"name", static_cast<const char*>(name)},
          {"count", count},
          {"compute_capability", std::to_string(major) + "." + std::to_string(minor)},
          {"num_sms", driver.attribute(kMultiprocessorCount, device)},
          {"l2_cache_bytes", driver.attribute(kL2CacheBytes, device)},
          {"shared_memory_per_block_bytes", driver.attribute(kSharedMemoryPerBlockOptin, device)},
          {"memory_bytes", memory_bytes},
          {"cuda_driver", std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10)}};
}

}  // namespace pkv::report
