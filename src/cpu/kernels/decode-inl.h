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
#include <utility>

HWY_BEFORE_NAMESPACE();
namespace pkv::detail {
namespace HWY_NAMESPACE {

/// q of the segment's group, widened, scaled and laid out for block_scores.
template <class T>
HWY_NOINLINE void load_queries(const DecodeArgs& args, const Segment& segment, SoftmaxState& state) {
  const Floats df;
  const FloatVec scale = hn::Set(df, args.scale);
  const std::int64_t chunk_floats = std::int64_t{kChunkHeads} * args.head_dim;
  for (int g = 0; g < args.num_chunks() * kChunkHeads; ++g) {
    float* HWY_RESTRICT q = state.q + g / kChunkHeads * chunk_floats + g % kChunkHeads * kLanes;
    const bool real = g < args.group_size;
    const T* HWY_RESTRICT source = nullptr;
    if (real) {
      const std::int64_t q_head = std::int64_t{segment.kv_head} * args.group_size + g;
      source = static_cast<const T*>(args.q.data) + DecodeArgs::offset(args.q, segment.row, q_head);
    }
    for (int at = 0; at < args.head_dim; at += kLanes, q += kChunkHeads * kLanes)
      hn::Store(real ? hn::Mul(load_wide(source + at), scale) : hn::Zero(df), df, q);
  }
}

/// The neutral softmax state.
inline void reset_state(const DecodeArgs& args, SoftmaxState& state) {
  const std::int64_t heads = std::int64_t{args.num_chunks()} * kChunkHeads;
  std::fill_n(state.acc, heads * args.head_dim, 0.0f);
  std::fill_n(state.max, heads, -std::numeric_limits<float>::infinity());
  std::fill_n(state.sum, std::int64_t{args.num_chunks()} * kMaxLanes, 0.0f);
}

/// Writes the segment's partial, or the result where the segment is all there is of its row and head.
inline HWY_NOINLINE void end_segment(const DecodeArgs& args, const Segment& segment, const SoftmaxState& state,
                                     WorkCounts& counts) {
  const int d = args.head_dim;
  const int group = args.group_size;
  for (int g = 0; g < group; ++g) {
    const float* lanes = state.sum + g / kChunkHeads * kMaxLanes;
    float sum = 0.0f;
    for (int i = g % kChunkHeads; i < kLanes; i += kChunkHeads) sum += lanes[i];
    const float* acc = state.acc + std::int64_t{g} * d;
    if (segment.slot == Segment::kNoSlot) {
      write_output(args, segment.row, std::int64_t{segment.kv_head} * group + g, acc, state.max[g], sum);
    } else {
      float* slot = args.slot(segment.slot);
      std::copy_n(acc, d, slot + std::int64_t{g} * d);
      slot[group * d + g] = state.max[g];
      slot[group * (d + 1) + g] = sum;
    }
  }
  counts.partials += segment.slot == Segment::kNoSlot ? 0 : group;
  ++counts.segments;
}

/// The blocks of a worker, one after the other: K of all heads that go together, then V of all, as they lie in memory.
template <class T>
class BlockLoop {
 public:
  HWY_INLINE BlockLoop(const DecodeArgs& args, std::span<const Segment> segments, Scratch& scratch)
      : args_(args), scratch_(scratch), cursor_(args, segments), head_dim_(args.head_dim), chunks_(args.num_chunks()) {}

  HWY_INLINE void run() {
    TokenBlock* block = &scratch_.blocks[0];
    TokenBlock* next = &scratch_.blocks[1];
    cursor_.read(*block);
    scratch_.window.reset(args_.block_tokens);
    scratch_.window.advance(block->k, 0, block->tokens);
    while (block->lanes > 0) {
      cursor_.read(*next);
      for (int lane = 0; lane < block->lanes; ++lane) {
        if (lane + 1 < block->lanes)
          scratch_.window.advance(block->k, (lane + 1) * args_.k.head_bytes, block->tokens);
        else
          scratch_.window.advance(block->v, 0, block->tokens);
        score(*block, lane);
      }
      for (int lane = 0; lane < block->lanes; ++lane) {
        if (lane + 1 < block->lanes)
          scratch_.window.advance(block->v, (lane + 1) * args_.v.head_bytes, block->tokens);
        else
          scratch_.window.advance(next->k, 0, next->tokens);
        accumulate(*block, lane);
      }
      std::swap(block, next);
    }
    ++scratch_.counts.workers;
  }

 private:
  /// Scores of the window's K, and the weights that they make.
  HWY_INLINE void score(const TokenBlock& block, int lane) {
    SoftmaxState& state = scratch_.states[lane];
    if (block.first) {
      load_queries<T>(args_, block.segments[lane], state);
      reset_state(args_, state);
    }
    Prefetcher<T> prefetcher(scratch_.window, head_dim_, chunks_, args_.ask_twice);
    for (int c = 0; c < chunks_; ++c) {
      float* scores = state.scores + c * chunk_scores();
      block_scores<T>(scratch_.window, head_dim_, state.q + c * chunk_floats(), scores, prefetcher);
      block_weights<T>(block.tokens, head_dim_, scores, state.max + c * kChunkHeads, state.sum + c * kMaxLanes,
                       state.acc + c * chunk_floats(), prefetcher);
    }
    prefetcher.finish();
  }

  /// Adds the window's V.
  HWY_INLINE void accumulate(const TokenBlock& block, int lane) {
    SoftmaxState& state = scratch_.states[lane];
    Prefetcher<T> prefetcher(scratch_.window, head_dim_, chunks_, args_.ask_twice);
    for (int c = 0; c < chunks_; ++c)
      accumulate_block<T>(scratch_.window, head_dim_, state.scores + c * chunk_scores(), state.acc + c * chunk_floats(),
                          prefetcher);
    prefetcher.finish();
    scratch_.counts.kv_tokens += block.tokens;
    if (block.last) end_segment(args_, block.segments[lane], state, scratch_.counts);
  }

  [[nodiscard]] HWY_INLINE std::int64_t chunk_scores() const { return std::int64_t{args_.block_tokens} * kChunkHeads; }
  [[nodiscard]] HWY_INLINE std::int64_t chunk_floats() const { return std::int64_t{kChunkHeads} * head_dim_; }

  const DecodeArgs& args_;
  Scratch& scratch_;
  BlockCursor cursor_;
  const int head_dim_;
  const int chunks_;
};

template <class T>
void decode_worker(const DecodeArgs& args, std::span<const Segment> segments, Scratch& scratch) {
  BlockLoop<T>(args, segments, scratch).run();
}

}  // namespace HWY_NAMESPACE
}  // namespace pkv::detail
HWY_AFTER_NAMESPACE();

#endif  // PKV_CPU_KERNELS_DECODE_INL_H_
