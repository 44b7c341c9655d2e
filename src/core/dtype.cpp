#include "persistentkv/core/dtype.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <bit>

namespace pkv {

int size_bytes(DType dtype) noexcept { return dtype == DType::kF32 ? 4 : 2; }

std::string_view to_string(DType dtype) noexcept {
  switch (dtype) {
    case DType::kF16:
      return "fp16";
    case DType::kBF16:
      return "bf16";
    case DType::kF32:
      return "fp32";
  }
  return "?";
}

DType parse_dtype(std::string_view text) {
  for (const DType dtype : {DType::kF16, DType::kBF16, DType::kF32})
    if (text == to_string(dtype)) return dtype;
  throw InvalidArgument(fmt::format("dtype is '{}', must be fp16, bf16 or fp32", text));
}

float f16_to_f32(std::uint16_t bits) noexcept {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
  const std::uint32_t magnitude = bits & 0x7fffu;
  if (magnitude >= 0x7c00u) return std::bit_cast<float>(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);  // inf, NaN
  // Shifted into place the exponent is short by 127 - 15, which one exact multiplication mends, subnormals included.
  const float widened = std::bit_cast<float>(magnitude << 13) * 0x1p112f;
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(widened));
}

float bf16_to_f32(std::uint16_t bits) noexcept { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

std::uint16_t f32_to_f16(float value) noexcept {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000u);
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<std::uint16_t>(sign | 0x7e00u | (magnitude >> 13 & 0x3ffu));  // NaN
  if (magnitude >= 0x477ff000u) return static_cast<std::uint16_t>(sign | 0x7c00u);  // >= 65520 rounds to infinity
  if (magnitude < 0x38800000u) {
    // Subnormal in binary16: adding 0.5 leaves a significand whose last bit is worth 2^-24, rounded by the hardware.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3f000000u));
  }
  const std::uint32_t rounded = magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1u);
  return static_cast<std::uint16_t>(sign | rounded >> 13);
}

std::uint16_t f32_to_bf16(float value) noexcept {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>(bits >> 16 | 0x40u);  // NaN, made quiet
  return static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

float load_element(const void* data, DType dtype, std::int64_t index) noexcept {
  switch (dtype) {
    case DType::kF16:
      return f16_to_f32(static_cast<const std::uint16_t*>(data)[index]);
    case DType::kBF16:
      return bf16_to_f32(static_cast<const std::uint16_t*>(data)[index]);
    case DType::kF32:
      break;
  }
  return static_cast<const float*>(data)[index];
}

void store_element(void* data, DType dtype, std::int64_t index, float value) noexcept {
  switch (dtype) {
    case DType::kF16:
      static_cast<std::uint16_t*>(data)[index] = f32_to_f16(value);
      return;
    case DType::kBF16:
      static_cast<std::uint16_t*>(data)[index] = f32_to_bf16(value);
      return;
    case DType::kF32:
      static_cast<float*>(data)[index] = value;
      return;
  }
}

}  // namespace pkv
