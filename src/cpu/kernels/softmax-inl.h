// The running softmax: from the scores of a block to its weights, the maximum and the sum brought up to date.

#if defined(PKV_CPU_KERNELS_SOFTMAX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PKV_CPU_KERNELS_SOFTMAX_INL_H_
#undef PKV_CPU_KERNELS_SOFTMAX_INL_H_
#else
#define PKV_CPU_KERNELS_SOFTMAX_INL_H_
#endif

#include "kernels/load-inl.h"
#include "kernels/prefetch-inl.h"
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

/// exp(x) for x <= 0, to about one unit in the last place; 0 below -87, where the result would not be normal, and for
/// NaN. Half the instructions of hn::Exp, which takes any x.
HWY_INLINE FloatVec exp_of_negative(FloatVec x) {
  const Floats df;
  const hn::RebindToSigned<Floats> di;
  // x = n ln 2 + r, |r| <= ln 2 / 2; ln 2 in two parts, of which the first has few bits, so that n times it is exact.
  const FloatVec n = hn::Round(hn::Mul(x, hn::Set(df, 1.44269504f)));
  const FloatVec r = hn::NegMulAdd(n, hn::Set(df, -2.12194440e-4f), hn::NegMulAdd(n, hn::Set(df, 0.693359375f), x));
  // exp(r) = 1 + r + r^2 p(r), by the coefficients of the Cephes library.
  const FloatVec r2 = hn::Mul(r, r);
  const FloatVec p01 = hn::MulAdd(hn::Set(df, 1.6666665459e-1f), r, hn::Set(df, 5.0000001201e-1f));
  const FloatVec p23 = hn::MulAdd(hn::Set(df, 8.3334519073e-3f), r, hn::Set(df, 4.1665795894e-2f));
  const FloatVec p45 = hn::MulAdd(hn::Set(df, 1.9875691500e-4f), r, hn::Set(df, 1.3981999507e-3f));
  const FloatVec p = hn::MulAdd(hn::MulAdd(p45, r2, p23), r2, p01);
  const FloatVec mantissa = hn::MulAdd(p, r2, hn::Add(r, hn::Set(df, 1.0f)));
  const auto power = hn::ShiftLeft<23>(hn::Add(hn::ConvertTo(di, n), hn::Set(di, 127)));
  return hn::IfThenElseZero(hn::Ge(x, hn::Set(df, -87.0f)), hn::Mul(mantissa, hn::BitCast(df, power)));
}

/// Turns scores [tokens, kChunkHeads] into weights exp(score - max), with max [kChunkHeads] the greatest so far, adds
/// them to sum [kLanes], and rescales sum and acc where the maximum has moved. Tokens that fill the block up weigh 0.
template <class T>
HWY_INLINE void block_weights(int tokens, int head_dim, float* HWY_RESTRICT scores, float* HWY_RESTRICT max,
                              float* HWY_RESTRICT sum, float* HWY_RESTRICT acc, Prefetcher<T>& prefetcher) {
  const Floats df;
  constexpr int kGroup = 4;  // tokens that a block is filled up to a multiple of
  const int end = (tokens + kGroup - 1) / kGroup * kGroup * kChunkHeads;
  for (int i = tokens * kChunkHeads; i < end; ++i) scores[i] = -std::numeric_limits<float>::infinity();

  const FloatVec old_max = hn::LoadDup128(df, max);
  FloatVec new_max = old_max;
  for (int i = 0; i < end; i += kLanes) new_max = hn::Max(new_max, hn::Load(df, scores + i));
  // Lane i belongs to head i % 4: the maximum over all 128-bit blocks, in every one of them.
  new_max = hn::Max(new_max, hn::SwapAdjacentBlocks(new_max));
  new_max = hn::Max(new_max, hn::ReverseBlocks(df, new_max));

  FloatVec sums = hn::Load(df, sum);
  if (!hn::AllTrue(df, hn::Eq(new_max, old_max))) {
    const FloatVec factor = exp_of_negative(hn::Sub(old_max, new_max));
    sums = hn::Mul(sums, factor);
    HWY_ALIGN float lanes[kLanes];
    hn::Store(factor, df, lanes);
    rescale(lanes, head_dim, acc);
    hn::Store(new_max, df, lanes);
    for (int h = 0; h < kChunkHeads; ++h) max[h] = lanes[h];
  }
  for (int i = 0; i < end; i += kLanes) {
    prefetcher.step();
    const FloatVec weight = exp_of_negative(hn::Sub(hn::Load(df, scores + i), new_max));
    hn::Store(weight, df, scores + i);
    sums = hn::Add(sums, weight);
  }
  hn::Store(sums, df, sum);
}

}  // namespace HWY_NAMESPACE
}  // namespace pkv::detail
HWY_AFTER_NAMESPACE();

#endif  // PKV_CPU_KERNELS_SOFTMAX_INL_H_
