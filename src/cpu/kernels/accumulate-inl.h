// acc += weights . V for a block of tokens and a chunk of four query heads.

#if defined(PKV_CPU_KERNELS_ACCUMULATE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PKV_CPU_KERNELS_ACCUMULATE_INL_H_
#undef PKV_CPU_KERNELS_ACCUMULATE_INL_H_
#else
#define PKV_CPU_KERNELS_ACCUMULATE_INL_H_
#endif

#include "kernels/load-inl.h"
#include "kernels/prefetch-inl.h"
#include "kernels/scratch.hpp"

HWY_BEFORE_NAMESPACE();
namespace pkv::detail {
namespace HWY_NAMESPACE {

/// Elements [at, at + kVectors * kLanes) of acc.
template <class T, int kVectors>
HWY_INLINE void accumulate_slice(const VectorWindow& values, int at, int head_dim, const float* HWY_RESTRICT weights,
                                 float* HWY_RESTRICT acc, Prefetcher<T>& prefetcher) {
  const Floats df;
  FloatVec sums[kChunkHeads][kVectors];
  for (int h = 0; h < kChunkHeads; ++h)
    for (int i = 0; i < kVectors; ++i) sums[h][i] = hn::Load(df, acc + h * head_dim + at + i * kLanes);
  for (int t = 0; t < values.tokens(); ++t) {
    prefetcher.step();
    const T* HWY_RESTRICT v = reinterpret_cast<const T*>(values[t]) + at;
    FloatVec v_vector[kVectors];
    for (int i = 0; i < kVectors; ++i) v_vector[i] = load_wide(v + i * kLanes);
    for (int h = 0; h < kChunkHeads; ++h) {
      const FloatVec weight = hn::Set(df, weights[t * kChunkHeads + h]);
      for (int i = 0; i < kVectors; ++i) sums[h][i] = hn::MulAdd(weight, v_vector[i], sums[h][i]);
    }
  }
  for (int h = 0; h < kChunkHeads; ++h)
    for (int i = 0; i < kVectors; ++i) hn::Store(sums[h][i], df, acc + h * head_dim + at + i * kLanes);
}

/// acc[h] += sum over the block's tokens of weights[t, h] * v[t].
template <class T>
HWY_INLINE void accumulate_block(const VectorWindow& values, int head_dim, const float* HWY_RESTRICT weights,
                                 float* HWY_RESTRICT acc, Prefetcher<T>& prefetcher) {
  constexpr int kSlice = kVectorsAtOnce * kLanes;
  int at = 0;
  for (; at + kSlice <= head_dim; at += kSlice)
    accumulate_slice<T, kVectorsAtOnce>(values, at, head_dim, weights, acc, prefetcher);
  for (; at < head_dim; at += kLanes) accumulate_slice<T, 1>(values, at, head_dim, weights, acc, prefetcher);
}

}  // namespace HWY_NAMESPACE
}  // namespace pkv::detail
HWY_AFTER_NAMESPACE();

#endif  // PKV_CPU_KERNELS_ACCUMULATE_INL_H_
