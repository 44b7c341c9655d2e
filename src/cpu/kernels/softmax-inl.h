// The running softmax: from the scores of a block to its weights, the maximum and the sum brought up to date.

#if defined(PKV_CPU_KERNELS_SOFTMAX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PKV_CPU_KERNELS_SOFTMAX_INL_H_
#undef PKV_CPU_KERNELS_SOFTMAX_INL_H_
#else
#define PKV_CPU_KERNELS_SOFTMAX_INL_H_
#endif

#include "kernels/load-inl.h"
#include "kernels/scratch.hpp"

#include <hwy/highway.h>

#include <limits>

HWY_BEFORE_NAMESPACE();
namespace pkv::detail {
namespace HWY_NAMESPACE {

/// Multiplies acc [kChunkHeads, head_dim] by a factor a head.
HWY_NOINLINE void rescale(const float* HWY_RESTRICT factors, int head_dim, float* HWY_RESTRICT acc) {
  const Floats df;
  for (int h = 0; h < kChunkHeads; ++h, acc += head_dim) {
    const FloatVec factor = hn::Set(df, factors[h]);
    for (int at = 0; at < head_dim; at += kLanes) hn::Store(hn::Mul(hn::Load(df, acc + at), factor), df, acc + at);
  }
}

/// 2^x for x <= 0, to about two units in the last place; 0 below -126, where the result would not be normal, and for
/// NaN.
HWY_INLINE FloatVec exp2_of_negative(FloatVec x) {
  const Floats df;
  const hn::RebindToSigned<Floats> di;
  // x = n + r, |r| <= 1/2. The polynomial's relative error is the least that degree 5 allows, but for the 1.
  const FloatVec n = hn::Round(x);
  const FloatVec r = hn::Sub(x, n);
  FloatVec p = hn::MulAdd(hn::Set(df, 1.3276472e-3f), r, hn::Set(df, 9.6755413e-3f));
  p = hn::MulAdd(p, r, hn::Set(df, 5.5507133e-2f));
  p = hn::MulAdd(p, r, hn::Set(df, 2.4022120e-1f));
  p = hn::MulAdd(p, r, hn::Set(df, 6.9314697e-1f));
  p = hn::MulAdd(p, r, hn::Set(df, 1.0f));
  const auto exponent = hn::ShiftLeft<23>(hn::ConvertTo(di, n));
  return hn::IfThenElseZero(hn::Ge(x, hn::Set(df, -126.0f)), hn::BitCast(df, hn::Add(hn::BitCast(di, p), exponent)));
}

/// Turns scores [tokens, kChunkHeads] into weights 2^(score - max), with max [kChunkHeads] the greatest so far, adds
/// them to sum [kLanes], and rescales sum and acc where the maximum has moved. Tokens that fill the block up weigh 0.
HWY_INLINE void block_weights(int tokens, int head_dim, float* HWY_RESTRICT scores, float* HWY_RESTRICT max,
                              float* HWY_RESTRICT sum, float* HWY_RESTRICT acc) {
  const Floats df;
  const int end = (tokens + kTokensAtOnce - 1) / kTokensAtOnce * kTokensAtOnce * kChunkHeads;
  for (int i = tokens * kChunkHeads; i < end; ++i) scores[i] = -std::numeric_limits<float>::infinity();

  const FloatVec old_max = hn::LoadDup128(df, max);
  FloatVec new_max = old_max;
  for (int i = 0; i < end; i += kLanes) new_max = hn::Max(new_max, hn::Load(df, scores + i));
  // Lane i belongs to head i % 4: the maximum over all 128-bit blocks, in every one of them.
  new_max = hn::Max(new_max, hn::SwapAdjacentBlocks(new_max));
  new_max = hn::Max(new_max, hn::ReverseBlocks(df, new_max));

  FloatVec sums = hn::Load(df, sum);
  if (!hn::AllTrue(df, hn::Eq(new_max, old_max))) {
    const FloatVec factor = exp2_of_negative(hn::Sub(old_max, new_max));
    sums = hn::Mul(sums, factor);
    HWY_ALIGN float lanes[kLanes];
    hn::Store(factor, df, lanes);
    rescale(lanes, head_dim, acc);
    hn::Store(new_max, df, lanes);
    for (int h = 0; h < kChunkHeads; ++h) max[h] = lanes[h];
  }
  for (int i = 0; i < end; i += kLanes) {
    const FloatVec weight = exp2_of_negative(hn::Sub(hn::Load(df, scores + i), new_max));
    hn::Store(weight, df, scores + i);
    sums = hn::Add(sums, weight);
  }
  hn::Store(sums, df, sum);
}

}  // namespace HWY_NAMESPACE
}  // namespace pkv::detail
HWY_AFTER_NAMESPACE();

#endif  // PKV_CPU_KERNELS_SOFTMAX_INL_H_
