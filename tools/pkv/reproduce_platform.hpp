#pragma once

#include "persistentkv/policy/device_profile.hpp"
#include "reproduce/bench.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace pkv::cli {

struct ReproducePlatform {
  std::unique_ptr<reproduce::Bench> bench;
  std::string device;  ///< for people: name and SMs
};

/// Name of the GPU, as profiles have it. Throws Unsupported where there is none, or this build has no CUDA.
[[nodiscard]] std::string reproduce_device_name();
/// Throws likewise.
[[nodiscard]] ReproducePlatform make_reproduce_platform(std::int64_t kv_bytes, std::optional<DeviceProfile> profile);

}  // namespace pkv::cli
