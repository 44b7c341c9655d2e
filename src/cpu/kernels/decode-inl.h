// One worker: its segments block by block, each block through scores, weights and accumulation.

#if defined(PKV_CPU_KERNELS_DECODE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PKV_CPU_KERNELS_DECODE_INL_H_
#undef PKV_CPU_KERNELS_DECODE_INL_H_
#else
#define PKV_CPU_KERNELS_DECODE_INL_H_
#endif

#include "kernels/accumulate-inl.h"
#include "kernels/output-inl.h"
#include "kernels/scores-inl.h"
#include "kernels/softmax-inl.h"

#include <algorithm>
#include <limits>
#include <numbers>
#include <utility>

HWY_BEFORE_NAMESPACE();
namespace pkv::detail {
namespace HWY_NAMESPACE {

/// q of the segment's group, widened, scaled so that weights are powers of two, and laid out for stretch_scores.
template <class T>
HWY_NOINLINE void load_queries(const DecodeArgs& args, const Segment& segment, SoftmaxState& state) {
  const Floats df;
  const FloatVec scale = hn::Set(df, args.scale * std::numbers::log2e_v<float>);
  for (int g = 0; g < args.num_chunks() * kChunkHeads; ++g) {
    float* HWY_RESTRICT q = state.q + g / kChunkHeads * args.chunk_floats() + g % kChunkHeads * kLanes;
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
      : args_(args), scratch_(scratch), cursor_(args, segments) {}

  HWY_INLINE void run() {
    TokenBlock* block = &scratch_.blocks[0];
    TokenBlock* next = &scratch_.blocks[1];
    cursor_.read(*block);
    read_ahead(args_, {}, k_of(*block, 0), vector_bytes(), [](const Stretch&) {});
    while (block->lanes > 0) {
      cursor_.read(*next);
      const int last = block->lanes - 1;
      // At the end nothing comes after; lists must hold addresses nevertheless.
      VectorList after = next->lanes > 0 ? k_of(*next, 0) : v_of(*block, last);
      if (next->lanes == 0) after.tokens = 0;
      for (int lane = 0; lane <= last; ++lane)
        score(*block, lane, lane < last ? k_of(*block, lane + 1) : v_of(*block, 0));
      for (int lane = 0; lane <= last; ++lane) accumulate(*block, lane, lane < last ? v_of(*block, lane + 1) : after);
      std::swap(block, next);
    }
    ++scratch_.counts.workers;
  }

 private:
  /// Scores of K, and the weights that they make. Next, `next` will be read.
  HWY_INLINE void score(const TokenBlock& block, int lane, const VectorList& next) {
    SoftmaxState& state = scratch_.states[lane];
    if (block.first) {
      load_queries<T>(args_, block.segments[lane], state);
      reset_state(args_, state);
    }
    read_ahead(args_, k_of(block, lane), next, vector_bytes(),
               [&](const Stretch& stretch) { stretch_scores<T>(stretch, args_, state.q, state.scores); });
    for (int c = 0; c < args_.num_chunks(); ++c)
      block_weights(block.tokens, args_.head_dim, state.scores + c * args_.chunk_scores(), state.max + c * kChunkHeads,
                    state.sum + c * kMaxLanes, state.acc + c * args_.chunk_floats());
  }

  /// Adds V.
  HWY_INLINE void accumulate(const TokenBlock& block, int lane, const VectorList& next) {
    SoftmaxState& state = scratch_.states[lane];
    read_ahead(args_, v_of(block, lane), next, vector_bytes(),
               [&](const Stretch& stretch) { accumulate_stretch<T>(stretch, args_, state.scores, state.acc); });
    scratch_.counts.kv_tokens += block.tokens;
    if (block.last) end_segment(args_, block.segments[lane], state, scratch_.counts);
  }

  [[nodiscard]] static HWY_INLINE VectorList list_of(const TokenBlock& block, const char* const* list, int lane,
                                                     std::ptrdiff_t head_bytes) {
    return {list, lane * head_bytes, block.tokens, (lane + 1 < block.lanes ? 2 : 1) * block.places()};
  }
  [[nodiscard]] HWY_INLINE VectorList k_of(const TokenBlock& block, int lane) const {
    return list_of(block, block.k, lane, args_.k.head_bytes);
  }
  [[nodiscard]] HWY_INLINE VectorList v_of(const TokenBlock& block, int lane) const {
    return list_of(block, block.v, lane, args_.v.head_bytes);
  }
  [[nodiscard]] HWY_INLINE int vector_bytes() const { return args_.head_dim * static_cast<int>(sizeof(T)); }

  const DecodeArgs& args_;
  Scratch& scratch_;
  BlockCursor cursor_;
};

template <class T>
void decode_worker(const DecodeArgs& args, std::span<const Segment> segments, Scratch& scratch) {
  BlockLoop<T>(args, segments, scratch).run();
}

}  // namespace HWY_NAMESPACE
}  // namespace pkv::detail
HWY_AFTER_NAMESPACE();

#endif  // PKV_CPU_KERNELS_DECODE_INL_H_
