// One worker: its segments block by block, each block through scores, weights and accumulation.

#if defined(PKV_CPU_KERNELS_DECODE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PKV_CPU_KERNELS_DECODE_INL_H_
#undef PKV_CPU_KERNELS_DECODE_INL_H_
#else
#define PKV_CPU_KERNELS_DECODE_INL_H_
#endif

#include "kernels/accumulate-inl.h"
#include "kernels/output.hpp"
#include "kernels/scores-inl.h"
#include "kernels/softmax-inl.h"

#include <algorithm>
#include <limits>
#include <numeric>

HWY_BEFORE_NAMESPACE();
namespace pkv::detail {
namespace HWY_NAMESPACE {

/// q of the segment's group, widened, scaled and laid out for block_scores; the softmax state made neutral.
template <class T>
HWY_NOINLINE void begin_segment(const DecodeArgs& args, const Segment& segment, Scratch& scratch) {
  const Floats df;
  const FloatVec scale = hn::Set(df, args.scale);
  const int heads = args.num_chunks() * kChunkHeads;
  for (int g = 0; g < heads; ++g) {
    float* HWY_RESTRICT q =
        scratch.q + std::int64_t{g / kChunkHeads} * kChunkHeads * args.head_dim + g % kChunkHeads * kLanes;
    const bool real = g < args.group_size;
    const T* HWY_RESTRICT source = nullptr;
    if (real) {
      const std::int64_t q_head = std::int64_t{segment.kv_head} * args.group_size + g;
      source = static_cast<const T*>(args.q.data) + DecodeArgs::offset(args.q, segment.row, q_head);
    }
    for (int at = 0; at < args.head_dim; at += kLanes, q += kChunkHeads * kLanes)
      hn::Store(real ? hn::Mul(load_wide(source + at), scale) : hn::Zero(df), df, q);
  }
  std::fill_n(scratch.acc, std::int64_t{heads} * args.head_dim, 0.0f);
  std::fill_n(scratch.max, heads, -std::numeric_limits<float>::infinity());
  std::fill_n(scratch.sum, std::int64_t{args.num_chunks()} * kMaxLanes, 0.0f);
}

/// Writes the segment's partial, or the result where the segment is all there is of its row and head.
inline HWY_NOINLINE void end_segment(const DecodeArgs& args, const Segment& segment, Scratch& scratch) {
  const int d = args.head_dim;
  const int group = args.group_size;
  for (int g = 0; g < group; ++g) {
    const float* lanes = scratch.sum + g / kChunkHeads * kMaxLanes;
    float sum = 0.0f;
    for (int i = g % kChunkHeads; i < kLanes; i += kChunkHeads) sum += lanes[i];
    const float* acc = scratch.acc + std::int64_t{g} * d;
    if (segment.slot == Segment::kNoSlot) {
      write_output(args, segment.row, std::int64_t{segment.kv_head} * group + g, acc, scratch.max[g], sum);
    } else {
      float* slot = args.slot(segment.slot);
      std::copy_n(acc, d, slot + std::int64_t{g} * d);
      slot[group * d + g] = scratch.max[g];
      slot[group * (d + 1) + g] = sum;
    }
  }
  scratch.counts.partials += segment.slot == Segment::kNoSlot ? 0 : group;
  ++scratch.counts.segments;
}

/// Asks for tokens [t, t + count) of a later block.
HWY_INLINE void prefetch_tokens(const KvSource& source, const char* const* tokens, int end, int t, int count,
                                int bytes) {
  for (int i = t; i < std::min(t + count, end); ++i) {
    if (i % source.prefetch_tokens != 0) continue;
    for (int at = 0; at < bytes; at += source.prefetch_bytes) __builtin_prefetch(tokens[i] + at, 0, 2);
  }
}

template <class T>
void decode_worker(const DecodeArgs& args, std::span<const Segment> segments, Scratch& scratch) {
  const int d = args.head_dim;
  const int chunks = args.num_chunks();
  const int vector_bytes = d * static_cast<int>(sizeof(T));
  BlockCursor cursor(args, segments);
  for (TokenBlock& block : scratch.blocks) cursor.read(block);
  for (std::size_t i = 0;; i = (i + 1) % kBlocksAhead) {
    TokenBlock& block = scratch.blocks[i];
    if (block.segment == nullptr) break;
    const TokenBlock& later = scratch.blocks[(i + kBlocksAhead - 1) % kBlocksAhead];
    if (block.first) begin_segment<T>(args, *block.segment, scratch);
    for (int c = 0; c < chunks; ++c) {
      float* acc = scratch.acc + std::int64_t{c} * kChunkHeads * d;
      // The first chunk of heads brings the tokens in; the others find them in the cache.
      const int wanted = c == 0 ? later.tokens : 0;
      block_scores<T>(block, d, scratch.q + std::int64_t{c} * kChunkHeads * d, scratch.scores,
                      [&](int t) HWY_ATTR { prefetch_tokens(args.k, later.k, wanted, t, kScoreTokens, vector_bytes); });
      block_weights(block.tokens, d, scratch.scores, scratch.max + c * kChunkHeads, scratch.sum + c * kMaxLanes, acc);
      accumulate_block<T>(block, d, scratch.scores, acc,
                          [&](int t) HWY_ATTR { prefetch_tokens(args.v, later.v, wanted, t, 1, vector_bytes); });
    }
    scratch.counts.kv_tokens += block.tokens;
    if (block.last) end_segment(args, *block.segment, scratch);
    cursor.read(block);
  }
  ++scratch.counts.workers;
}

}  // namespace HWY_NAMESPACE
}  // namespace pkv::detail
HWY_AFTER_NAMESPACE();

#endif  // PKV_CPU_KERNELS_DECODE_INL_H_
