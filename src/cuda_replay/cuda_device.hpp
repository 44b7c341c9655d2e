#pragma once

// A replay in a GPU's memory, by the GPU's clock.

#include "persistentkv/cuda/cuda_backend.hpp"
#include "replay/device.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace pkv::cuda_replay {

/// On the backend's device. The pages are made in host memory, for the oracle, and copied to the GPU once. At each step
/// lengths and page table are there before anything is timed, as a serving engine holds them; schedules that plan on
/// the host read lengths from there. A run's time is that between two events around its launches, which wait in the
/// stream behind the reads that empty L2. Throws InvalidArgument where the pages do not fit in either memory.
///
/// Routes that `backend` has not are run by the first of `more` that has them, on the same device, with lengths and
/// table from the host. A run throws Unsupported for a route that nobody has for the shape.
[[nodiscard]] std::unique_ptr<replay::ReplayDevice> make_cuda_device(CudaBackend& backend,
                                                                     std::vector<std::shared_ptr<Backend>> more,
                                                                     const AttentionShape& shape, DType dtype,
                                                                     int page_size, std::int64_t num_pages,
                                                                     std::uint32_t seed);

}  // namespace pkv::cuda_replay
