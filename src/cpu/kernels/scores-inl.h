// q . K for a block of tokens and a chunk of four query heads.

#if defined(PKV_CPU_KERNELS_SCORES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PKV_CPU_KERNELS_SCORES_INL_H_
#undef PKV_CPU_KERNELS_SCORES_INL_H_
#else
#define PKV_CPU_KERNELS_SCORES_INL_H_
#endif

#include "kernels/load-inl.h"
#include "kernels/prefetch-inl.h"
#include "kernels/scratch.hpp"

HWY_BEFORE_NAMESPACE();
namespace pkv::detail {
namespace HWY_NAMESPACE {

/// Tokens whose scores are accumulated at once: as many as fill a vector with the scores of a chunk, and two where a
/// vector holds one token's, so that each load of q serves two. 16 accumulators of 32 registers, or 8 of 16.
inline constexpr int kScoreTokens = kLanes == 16 ? 4 : 2;

/// Adds up the lanes of four vectors: lane h of each 128-bit block of the result is the sum of that block of heads[h].
HWY_INLINE FloatVec add_within_blocks(const FloatVec (&heads)[kChunkHeads]) {
  const Floats df;
  const hn::Repartition<double, Floats> pairs;
  const auto fold = [&](FloatVec a, FloatVec b)
                        HWY_ATTR { return hn::Add(hn::InterleaveLower(df, a, b), hn::InterleaveUpper(df, a, b)); };
  const auto ab = hn::BitCast(pairs, fold(heads[0], heads[1]));
  const auto cd = hn::BitCast(pairs, fold(heads[2], heads[3]));
  return hn::Add(hn::BitCast(df, hn::InterleaveLower(pairs, ab, cd)),
                 hn::BitCast(df, hn::InterleaveUpper(pairs, ab, cd)));
}

/// Adds up the blocks and stores [kScoreTokens, kChunkHeads] scores.
HWY_INLINE void store_scores(const FloatVec (&sums)[kScoreTokens], float* HWY_RESTRICT scores) {
  const Floats df;
#if HWY_MAX_BYTES == 64
  const auto fold = [&](FloatVec a, FloatVec b)
                        HWY_ATTR { return hn::Add(hn::ConcatLowerLower(df, b, a), hn::ConcatUpperUpper(df, b, a)); };
  // Blocks of even: token 0 twice, then token 2 twice, each holding half of the sum; odd: tokens 1 and 3.
  const FloatVec even = fold(sums[0], sums[2]);
  const FloatVec odd = fold(sums[1], sums[3]);
  hn::Store(hn::OddEvenBlocks(hn::Add(odd, hn::SwapAdjacentBlocks(odd)), hn::Add(even, hn::SwapAdjacentBlocks(even))),
            df, scores);
#elif HWY_MAX_BYTES == 32
  hn::Store(hn::Add(hn::ConcatLowerLower(df, sums[1], sums[0]), hn::ConcatUpperUpper(df, sums[1], sums[0])), df,
            scores);
#else
  hn::Store(sums[0], df, scores);
  hn::Store(sums[1], df, scores + kLanes);
#endif
}

/// Scores of kScoreTokens tokens from t on.
template <class T, bool kAsk>
HWY_INLINE void group_scores(const VectorList& keys, int t, int head_dim, const float* HWY_RESTRICT q,
                             float* HWY_RESTRICT scores, Asker& asker) {
  const Floats df;
  const T* HWY_RESTRICT k[kScoreTokens];
  FloatVec sums[kScoreTokens][kChunkHeads];
  for (int i = 0; i < kScoreTokens; ++i) {
    k[i] = reinterpret_cast<const T*>(keys[t + i]);
    for (FloatVec& sum : sums[i]) sum = hn::Zero(df);
  }
  for (int at = 0; at < head_dim; at += kLanes) {
    if (kAsk) asker.ask<kScoreTokens * kLanes* static_cast<int>(sizeof(T))>();
    FloatVec k_vector[kScoreTokens];
    for (int i = 0; i < kScoreTokens; ++i) k_vector[i] = load_wide(k[i] + at);
    for (int h = 0; h < kChunkHeads; ++h) {
      const FloatVec q_h = keep(hn::Load(df, q + (at * kChunkHeads + h * kLanes)));
      for (int i = 0; i < kScoreTokens; ++i) sums[i][h] = hn::MulAdd(k_vector[i], q_h, sums[i][h]);
    }
  }
  FloatVec in_blocks[kScoreTokens];
  for (int i = 0; i < kScoreTokens; ++i) in_blocks[i] = add_within_blocks(sums[i]);
  store_scores(in_blocks, scores + t * kChunkHeads);
}

/// scores[c, t, h] = q[c, h] . k[t] for all tokens of the stretch and those that fill it up to a multiple of four.
template <class T>
HWY_NOINLINE void stretch_scores(const Stretch& stretch, const DecodeArgs& args, const float* HWY_RESTRICT q,
                                 float* HWY_RESTRICT scores) {
  const VectorList keys = stretch.here;
  Asker asker(stretch, args, args.head_dim * static_cast<int>(sizeof(T)));
  scores += stretch.begin * kChunkHeads;
  for (int t = 0; t < keys.tokens; t += kScoreTokens) {
    group_scores<T, true>(keys, t, args.head_dim, q, scores, asker);
    for (int c = 1; c < args.num_chunks(); ++c)
      group_scores<T, false>(keys, t, args.head_dim, q + c * args.chunk_floats(), scores + c * args.chunk_scores(),
                             asker);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pkv::detail
HWY_AFTER_NAMESPACE();

#endif  // PKV_CPU_KERNELS_SCORES_INL_H_
