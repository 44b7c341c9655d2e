#pragma once

/// Element types of q, K, V and out, and the host-side conversions the oracle and the tests rely on.

#include <cstdint>
#include <string_view>

namespace pkv {

enum class DType : std::uint8_t {
  kF16,   ///< IEEE 754 binary16
  kBF16,  ///< bfloat16: the upper half of a binary32
  kF32,   ///< IEEE 754 binary32
};

/// Bytes of one element: 2, 2 or 4.
[[nodiscard]] int size_bytes(DType dtype) noexcept;

/// "fp16", "bf16" or "fp32".
[[nodiscard]] std::string_view to_string(DType dtype) noexcept;

/// The inverse of to_string. Throws InvalidArgument for any other text.
[[nodiscard]] DType parse_dtype(std::string_view text);

/// Exact widening; NaN stays NaN.
[[nodiscard]] float f16_to_f32(std::uint16_t bits) noexcept;
[[nodiscard]] float bf16_to_f32(std::uint16_t bits) noexcept;

/// Round to nearest, ties to even; overflow becomes infinity, NaN stays NaN (quiet).
[[nodiscard]] std::uint16_t f32_to_f16(float value) noexcept;
[[nodiscard]] std::uint16_t f32_to_bf16(float value) noexcept;

/// Element `index` of an array of `dtype`, widened.
[[nodiscard]] float load_element(const void* data, DType dtype, std::int64_t index) noexcept;

/// Stores `value`, rounded to nearest even, as element `index` of an array of `dtype`.
void store_element(void* data, DType dtype, std::int64_t index, float value) noexcept;

}  // namespace pkv
