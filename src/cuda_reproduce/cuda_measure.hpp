#pragma once

// The measuring of `reproduce` on a GPU.

#include "persistentkv/policy/device_profile.hpp"
#include "reproduce/bench.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace pkv::cuda_reproduce {

struct CudaMeasureConfig {
  std::int64_t kv_bytes = 0;                            ///< of KV pages: as reproduce::kv_bytes_needed() says
  std::vector<std::shared_ptr<Backend>> more_backends;  ///< beside our own engine, on the same device
  std::optional<DeviceProfile> profile;                 ///< the policy's; nothing: its safe route
};

/// On the current device. In each window L2 holds nothing of the step. Lengths, table and ids of a step lie in pinned
/// memory of the host. Routes that may plan on the device have them copied in one piece, in the stream, and are given a
/// workspace; the others are given them on the host, and copy what they need. Throws InvalidArgument where the GPU has
/// no room for the pages, CudaError.
[[nodiscard]] std::unique_ptr<reproduce::Bench> make_cuda_measure(const CudaMeasureConfig& config);

}  // namespace pkv::cuda_reproduce
