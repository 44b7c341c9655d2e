#pragma once

// The CPU engine as something to be timed.

#include "step_timer.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace pkv::calibrate {

struct CpuTimerConfig {
  std::string device_name;                 ///< of the CPU: what the profile will be compared by
  int num_threads = 0;                     ///< as in CpuBackendConfig
  std::int64_t pool_bytes = 1024ll << 20;  ///< K and V that steps take turns on, so that they are not in a cache; steps
                                           ///< that need more are left out
};

/// One layer on pages that have not been read since the rest of the pool was. Throws InvalidArgument.
[[nodiscard]] std::unique_ptr<StepTimer> make_cpu_timer(const CpuTimerConfig& config);

}  // namespace pkv::calibrate
