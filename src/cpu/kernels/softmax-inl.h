// The running softmax: from the scores of a block to its weights, the maximum and the sum brought up to date.

#if defined(PKV_CPU_KERNELS_SOFTMAX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PKV_CPU_KERNELS_SOFTMAX_INL_H_
#undef PKV_CPU_KERNELS_SOFTMAX_INL_H_
#else
#define PKV_CPU_KERNELS_SOFTMAX_INL_H_
#endif

#include "kernels/load-inl.h"
#include "kernels/scratch.hpp"

#include <hwy/contrib/math/math-inl.h>

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

/// Turns scores [tokens, kChunkHeads] into weights exp(score - max), with max [kChunkHeads] the greatest so far, adds
/// them to sum [kLanes], and rescales sum and acc where the maximum has moved. Tokens that fill the block up weigh 0.
HWY_INLINE void block_weights(int tokens, int head_dim, float* HWY_RESTRICT scores, float* HWY_RESTRICT max,
                              float* HWY_RESTRICT sum, float* HWY_RESTRICT acc) {
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
    const FloatVec factor = hn::Exp(df, hn::Sub(old_max, new_max));
    sums = hn::Mul(sums, factor);
    HWY_ALIGN float lanes[kLanes];
    hn::Store(factor, df, lanes);
    rescale(lanes, head_dim, acc);
    hn::Store(new_max, df, lanes);
    for (int h = 0; h < kChunkHeads; ++h) max[h] = lanes[h];
  }
  for (int i = 0; i < end; i += kLanes) {
    const FloatVec weight = hn::Exp(df, hn::Sub(hn::Load(df, scores + i), new_max));
    hn::Store(weight, df, scores + i);
    sums = hn::Add(sums, weight);
  }
  hn::Store(sums, df, sum);
}

}  // namespace HWY_NAMESPACE
}  // namespace pkv::detail
HWY_AFTER_NAMESPACE();

#endif  // PKV_CPU_KERNELS_SOFTMAX_INL_H_
