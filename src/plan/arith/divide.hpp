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
  std::int32_t value = 1;
  std::uint32_t magic = (1u << 31) + 1;  ///< floor(2^(31 + shift) / value) + 1, where 2^shift >= value
  int shift = 0;

  Divisor() = default;
  /// 0 < of < 2^31
  PKV_HOST_DEVICE constexpr explicit Divisor(std::int64_t of) : value(static_cast<std::int32_t>(of)) {
    while ((std::int64_t{1} << shift) < of) ++shift;
    magic = static_cast<std::uint32_t>((std::uint64_t{1} << (31 + shift)) / static_cast<std::uint64_t>(of) + 1);
  }

  /// floor(a / value), for 0 <= a <= kMaxTotalCost.
  [[nodiscard]] PKV_HOST_DEVICE constexpr std::int64_t divide(std::int64_t a) const {
    // One rounding leaves the quotient less than one off.
    const auto q = static_cast<std::int64_t>(static_cast<double>(a) / static_cast<double>(value));
    const std::int64_t rest = a - q * value;
    return rest < 0 ? q - 1 : rest >= value ? q + 1 : q;
  }
  /// floor(a / value), for 0 <= a < 2^31. The magic number is too large by less than 1, and so the quotient by less
  /// than a / 2^(31 + shift) < 1 / value: no integer lies between.
  [[nodiscard]] PKV_HOST_DEVICE constexpr std::int32_t divide(std::int32_t a) const {
    return static_cast<std::int32_t>((std::uint64_t{static_cast<std::uint32_t>(a)} * magic) >> (31 + shift));
  }
};

/// floor(a / b), for 0 <= a, 0 < b and a quotient of at most 2^20.
template <class Int>
PKV_HOST_DEVICE constexpr Int small_quotient(Int a, Int b) {
#ifdef __CUDA_ARCH__
  float reciprocal;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(reciprocal) : "f"(static_cast<float>(b)));
  const Int q = __float2int_rz(static_cast<float>(a) * reciprocal);  // relative error below 2^-21
  const Int rest = a - q * b;
  return rest < 0 ? q - 1 : rest >= b ? q + 1 : q;
#else
  return a / b;
#endif
}

}  // namespace pkv::arith
