#pragma once

// Exact integer division by a reciprocal. Planning on a GPU is a chain of divisions: an exact 64-bit one costs it some
// hundred cycles, a multiplication and a correction a tenth of it.

#include "host_device.hpp"

#include <cstdint>

namespace pkv::arith {

/// Sums of costs stay below it, so that every one of them is exact in FP64.
inline constexpr std::int64_t kMaxTotalCost = std::int64_t{1} << 52;

/// A divisor that is known before the dividend.
struct Divisor {
  std::int64_t value = 1;
  double reciprocal = 1.0;
  int log2 = 0;  ///< -1: not a power of two

  Divisor() = default;
  PKV_HOST_DEVICE constexpr explicit Divisor(std::int64_t of)
      : value(of), reciprocal(1.0 / static_cast<double>(of)), log2(-1) {
    for (int bit = 0; bit < 62; ++bit)
      if (of == std::int64_t{1} << bit) log2 = bit;
  }

  /// floor(a / value), for 0 <= a <= kMaxTotalCost.
  [[nodiscard]] PKV_HOST_DEVICE constexpr std::int64_t divide(std::int64_t a) const {
    if (log2 >= 0) return a >> log2;
    // Two roundings leave the quotient less than one off.
    const auto q = static_cast<std::int64_t>(static_cast<double>(a) * reciprocal);
    const std::int64_t rest = a - q * value;
    return rest < 0 ? q - 1 : rest >= value ? q + 1 : q;
  }
};

/// floor(a / b), for 0 <= a, 0 < b and a quotient of at most 2^20.
PKV_HOST_DEVICE constexpr std::int64_t small_quotient(std::int64_t a, std::int64_t b) {
#ifdef __CUDA_ARCH__
  float reciprocal;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(reciprocal) : "f"(static_cast<float>(b)));
  const std::int64_t q = __float2int_rz(static_cast<float>(a) * reciprocal);  // relative error below 2^-21
  const std::int64_t rest = a - q * b;
  return rest < 0 ? q - 1 : rest >= b ? q + 1 : q;
#else
  return a / b;
#endif
}

}  // namespace pkv::arith
