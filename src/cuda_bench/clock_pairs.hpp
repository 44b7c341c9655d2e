#pragma once

// The clocks of all SMs beside the GPU's common one.

#include <cuda_runtime_api.h>

#include <cstdint>

namespace pkv::cuda_bench {

struct DeviceClockPair {
  std::int64_t clock;  // cycles of the SM
  std::int64_t ns;     // of the common clock, just when it ticked
  std::int32_t sm;
};

[[nodiscard]] std::int64_t clock_pairs_count(int num_sms);

/// Writes clock_pairs_count() pairs, some of every SM.
void read_clock_pairs(DeviceClockPair* pairs, int num_sms, cudaStream_t stream);

}  // namespace pkv::cuda_bench
