#include "persistentkv/core/dtype.hpp"

#include "persistentkv/core/error.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

namespace pkv {
namespace {

/// binary16 by its definition: sign, five bits of exponent, ten of significand.
double f16_by_definition(std::uint16_t bits) {
  const int exponent = bits >> 10 & 0x1f;
  const int significand = bits & 0x3ff;
  const double sign = (bits & 0x8000) != 0 ? -1.0 : 1.0;
  if (exponent == 31) return significand != 0 ? std::nan("") : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(significand, -24);
  return sign * std::ldexp(1024 + significand, exponent - 25);
}

TEST(DType, F16WidensEveryValueExactly) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const double expected = f16_by_definition(static_cast<std::uint16_t>(bits));
    const float actual = f16_to_f32(static_cast<std::uint16_t>(bits));
    if (std::isnan(expected))
      EXPECT_TRUE(std::isnan(actual)) << bits;
    else
      EXPECT_EQ(std::bit_cast<std::uint64_t>(static_cast<double>(actual)), std::bit_cast<std::uint64_t>(expected));
  }
}

TEST(DType, F16RoundsToNearestEven) {
  for (std::uint32_t bits = 0; bits < 0x7bff; ++bits) {  // every gap between neighbours, its middle and its sides
    const auto low = static_cast<std::uint16_t>(bits);
    const auto high = static_cast<std::uint16_t>(bits + 1);
    const float middle = (f16_to_f32(low) + f16_to_f32(high)) / 2;
    EXPECT_EQ(f32_to_f16(f16_to_f32(low)), low);
    EXPECT_EQ(f32_to_f16(middle), (low & 1) == 0 ? low : high) << bits;
    EXPECT_EQ(f32_to_f16(std::nextafter(middle, 0.0f)), low) << bits;
    EXPECT_EQ(f32_to_f16(std::nextafter(middle, 1e6f)), high) << bits;
    EXPECT_EQ(f32_to_f16(-f16_to_f32(low)), low | 0x8000);
  }
  EXPECT_EQ(f32_to_f16(65504.0f), 0x7bff);
  EXPECT_EQ(f32_to_f16(65519.99f), 0x7bff);
  EXPECT_EQ(f32_to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(f32_to_f16(-1e30f), 0xfc00);
  EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(std::numeric_limits<float>::quiet_NaN()))));
}

TEST(DType, BF16RoundsToNearestEven) {
  for (std::uint32_t bits = 0; bits < 0x7f7f; ++bits) {
    const auto low = static_cast<std::uint16_t>(bits);
    const auto high = static_cast<std::uint16_t>(bits + 1);
    const float middle = std::bit_cast<float>(bits << 16 | 0x8000u);
    EXPECT_EQ(f32_to_bf16(bf16_to_f32(low)), low);
    EXPECT_EQ(f32_to_bf16(middle), (low & 1) == 0 ? low : high) << bits;
    EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(bits << 16 | 0x7fffu)), low) << bits;
    EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(bits << 16 | 0x8001u)), high) << bits;
  }
  EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(std::bit_cast<float>(0x7f800001u)))));  // a NaN with low bits only
  EXPECT_EQ(f32_to_bf16(INFINITY), 0x7f80);
}

TEST(DType, NamesRoundTrip) {
  for (const DType dtype : {DType::kF16, DType::kBF16, DType::kF32}) EXPECT_EQ(parse_dtype(to_string(dtype)), dtype);
  EXPECT_THROW((void)parse_dtype("fp8"), InvalidArgument);
}

TEST(DType, ElementsRoundTrip) {
  for (const DType dtype : {DType::kF16, DType::kBF16, DType::kF32}) {
    float storage[3] = {};
    store_element(storage, dtype, 2, -1.5f);
    EXPECT_EQ(load_element(storage, dtype, 2), -1.5f);
    EXPECT_EQ(load_element(storage, dtype, 1), 0.0f);
  }
}

}  // namespace
}  // namespace pkv
