#pragma once

#include <chrono>

namespace pkv::cuda_bench {

/// Microseconds since a time of the steady clock.
[[nodiscard]] inline double elapsed_us(std::chrono::steady_clock::time_point since) noexcept {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - since).count();
}

}  // namespace pkv::cuda_bench
