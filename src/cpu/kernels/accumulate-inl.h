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

/// Tokens that are added to one slice of acc before the next: few, so that V is read nearly in its own order.
inline constexpr int kSliceTokens = 16;

/// Vectors of V that the loop holds at once, each for the four heads of a chunk: 16 accumulators of 32 registers, or 12
/// of 16.
inline constexpr int kSliceVectors = kLanes == 16 ? 4 : 3;

/// Elements [at, at + kVectors * kLanes) of acc, tokens [begin, end); for each of them kAskBytes ahead are asked for.
template <class T, int kVectors, int kAskBytes>
HWY_INLINE void accumulate_slice(const VectorList& values, int begin, int end, int at, int head_dim,
                                 const float* HWY_RESTRICT weights, float* HWY_RESTRICT acc, Asker& asker) {
  const Floats df;
  const int at_bytes = at * static_cast<int>(sizeof(T));
  FloatVec sums[kChunkHeads][kVectors];
  for (int h = 0; h < kChunkHeads; ++h)
    for (int i = 0; i < kVectors; ++i) sums[h][i] = hn::Load(df, acc + h * head_dim + at + i * kLanes);
  for (int t = begin; t < end; ++t) {
    if constexpr (kAskBytes > 0) asker.ask<kAskBytes>();
    const T* HWY_RESTRICT v = reinterpret_cast<const T*>(opaque(values[t] + at_bytes));
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

/// All of acc, slice by slice; the first ones ask for as many vectors ahead if kAsk.
template <class T, bool kAsk>
HWY_INLINE void accumulate_tokens(const VectorList& values, int begin, int end, int head_dim,
                                  const float* HWY_RESTRICT weights, float* HWY_RESTRICT acc, Asker& asker) {
  constexpr int kSliceBytes = kSliceVectors * kLanes * static_cast<int>(sizeof(T));
  constexpr int kAskBytes = std::max(kLineBytes, kSliceBytes / kLineBytes * kLineBytes);
  int to_ask = kAsk ? head_dim * static_cast<int>(sizeof(T)) : 0;
  int at = 0;
  const auto slice = [&]<int kVectors>(std::integral_constant<int, kVectors>) HWY_ATTR {
    if (to_ask > 0)
      accumulate_slice<T, kVectors, kAskBytes>(values, begin, end, at, head_dim, weights, acc, asker);
    else
      accumulate_slice<T, kVectors, 0>(values, begin, end, at, head_dim, weights, acc, asker);
    to_ask -= kAskBytes;
    at += kVectors * kLanes;
  };
  // Three and one would leave the one with too few accumulators to be quick.
  while (head_dim - at >= kSliceVectors * kLanes && (kSliceVectors != 3 || head_dim - at != 4 * kLanes))
    slice(std::integral_constant<int, kSliceVectors>());
  while (head_dim - at >= 2 * kLanes) slice(std::integral_constant<int, 2>());
  while (head_dim - at > 0) slice(std::integral_constant<int, 1>());
}

/// acc[c, h] += sum over the stretch's tokens of weights[c, t, h] * v[t].
template <class T>
HWY_NOINLINE void accumulate_stretch(const Stretch& stretch, const DecodeArgs& args, const float* HWY_RESTRICT weights,
                                     float* HWY_RESTRICT acc) {
  const VectorList values = stretch.here;
  Asker asker(stretch, args, args.head_dim * static_cast<int>(sizeof(T)));
  weights += stretch.begin * kChunkHeads;
  for (int begin = 0; begin < values.tokens; begin += kSliceTokens) {
    const int end = std::min(begin + kSliceTokens, values.tokens);
    accumulate_tokens<T, true>(values, begin, end, args.head_dim, weights, acc, asker);
    for (int c = 1; c < args.num_chunks(); ++c)
      accumulate_tokens<T, false>(values, begin, end, args.head_dim, weights + c * args.chunk_scores(),
                                  acc + c * args.chunk_floats(), asker);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pkv::detail
HWY_AFTER_NAMESPACE();

#endif  // PKV_CPU_KERNELS_ACCUMULATE_INL_H_
