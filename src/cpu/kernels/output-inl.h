// A finished row and query head, divided by its sum and rounded as store_element() does.

#if defined(PKV_CPU_KERNELS_OUTPUT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PKV_CPU_KERNELS_OUTPUT_INL_H_
#undef PKV_CPU_KERNELS_OUTPUT_INL_H_
#else
#define PKV_CPU_KERNELS_OUTPUT_INL_H_
#endif

#include "kernels/load-inl.h"
#include "kernels/output.hpp"

HWY_BEFORE_NAMESPACE();
namespace pkv::detail {
namespace HWY_NAMESPACE {

using Words = hn::RebindToSigned<Floats>;
using WordVec = hn::Vec<Words>;

/// Bits of binary16, rounded to the nearest even: f32_to_f16() in vectors.
HWY_INLINE WordVec f16_bits(FloatVec value) {
  const Words d;
  const Floats df;
  const auto word = [&](int bits) HWY_ATTR { return hn::Set(d, bits); };
  const WordVec bits = hn::BitCast(d, value);
  const WordVec magnitude = hn::And(bits, word(0x7fffffff));
  const WordVec odd = hn::And(hn::ShiftRight<13>(magnitude), word(1));
  const WordVec normal = hn::ShiftRight<13>(hn::Add(hn::Add(magnitude, word(0xfff - 0x38000000)), odd));
  const WordVec subnormal =
      hn::Sub(hn::BitCast(d, hn::Add(hn::BitCast(df, magnitude), hn::Set(df, 0.5f))), word(0x3f000000));
  const WordVec nan = hn::Or(hn::And(hn::ShiftRight<13>(magnitude), word(0x3ff)), word(0x7e00));
  WordVec result = hn::IfThenElse(hn::Lt(magnitude, word(0x38800000)), subnormal, normal);
  result = hn::IfThenElse(hn::Lt(magnitude, word(0x477ff000)), result, word(0x7c00));
  result = hn::IfThenElse(hn::Gt(magnitude, word(0x7f800000)), nan, result);
  return hn::Or(result, hn::And(hn::ShiftRight<16>(bits), word(0x8000)));
}

/// Bits of bfloat16, rounded to the nearest even: f32_to_bf16() in vectors.
HWY_INLINE WordVec bf16_bits(FloatVec value) {
  const Words d;
  const WordVec bits = hn::BitCast(d, value);
  const WordVec odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d, 1));
  const WordVec rounded = hn::ShiftRight<16>(hn::Add(hn::Add(bits, hn::Set(d, 0x7fff)), odd));
  const WordVec nan = hn::Or(hn::ShiftRight<16>(bits), hn::Set(d, 0x40));
  const auto is_nan = hn::Gt(hn::And(bits, hn::Set(d, 0x7fffffff)), hn::Set(d, 0x7f800000));
  return hn::And(hn::IfThenElse(is_nan, nan, rounded), hn::Set(d, 0xffff));
}

/// Writes acc / sum, and the LSE.
inline HWY_NOINLINE void write_output(const DecodeArgs& args, std::int64_t row, std::int64_t q_head,
                                      const float* HWY_RESTRICT acc, float max, float sum) {
  const Floats df;
  const hn::Rebind<std::uint16_t, Floats> half;
  const FloatVec inverse = hn::Set(df, sum == 0.0f ? 0.0f : 1.0f / sum);
  const std::int64_t first = DecodeArgs::offset(args.out, row, q_head);
  float* HWY_RESTRICT floats = static_cast<float*>(args.out.data) + first;
  std::uint16_t* HWY_RESTRICT halves = static_cast<std::uint16_t*>(args.out.data) + first;
  for (int at = 0; at < args.head_dim; at += kLanes) {
    const FloatVec value = hn::Mul(hn::Load(df, acc + at), inverse);
    if (args.out.dtype == DType::kF32)
      hn::StoreU(value, df, floats + at);
    else
      hn::StoreU(hn::DemoteTo(half, args.out.dtype == DType::kF16 ? f16_bits(value) : bf16_bits(value)), half,
                 halves + at);
  }
  write_lse(args, row, q_head, max, sum);
}

}  // namespace HWY_NAMESPACE
}  // namespace pkv::detail
HWY_AFTER_NAMESPACE();

#endif  // PKV_CPU_KERNELS_OUTPUT_INL_H_
