#pragma once

// What a thread needs while it works: one cache-aligned piece of the workspace, and its own counters.

#include "kernels/block_cursor.hpp"

#include <array>
#include <cstdint>

namespace pkv::detail {

/// Blocks whose addresses are known: the one that is accumulated, the one that is scored, and the one that is asked
/// for.
inline constexpr int kBlocksKnown = 3;

/// What a thread has done in a run.
struct WorkCounts {
  std::int64_t workers = 0;
  std::int64_t segments = 0;
  std::int64_t partials = 0;
  std::int64_t kv_tokens = 0;
};

/// Of one segment, for every chunk of heads one after the other. N is the number of lanes of the target.
struct SoftmaxState {
  float* q = nullptr;    // [chunks, head_dim / N, kChunkHeads, N], scaled
  float* acc = nullptr;  // [chunks, kChunkHeads, head_dim]
  float* max = nullptr;  // [chunks, kChunkHeads], padded to kMaxLanes a chunk
  float* sum = nullptr;  // [chunks, kMaxLanes]: lane i belongs to head i % kChunkHeads
};

struct Scratch {
  std::array<SoftmaxState, kMaxTogether> states;
  float* scores = nullptr;  // [2, chunks, kBlockTokens, kChunkHeads]: of a block, while the next one is scored
  std::array<TokenBlock, kBlocksKnown> blocks;
  WorkCounts counts;

  /// Floats behind the arrays.
  [[nodiscard]] static std::int64_t num_floats(const DecodeArgs& args) noexcept {
    const std::int64_t chunks = args.num_chunks();
    const std::int64_t state = 2 * std::int64_t{kChunkHeads} * args.head_dim + std::int64_t{2} * kMaxLanes;
    return chunks * (kMaxTogether * state + std::int64_t{2} * kBlockTokens * kChunkHeads);
  }
  /// Lays the arrays out from `base` on, which is aligned to a cache line. head_dim is a multiple of 16: so are all.
  void place(float* base, const DecodeArgs& args) noexcept {
    const std::int64_t chunks = args.num_chunks();
    const std::int64_t vectors = chunks * kChunkHeads * args.head_dim;
    for (SoftmaxState& state : states) {
      state.q = base;
      state.acc = state.q + vectors;
      state.max = state.acc + vectors;
      state.sum = state.max + chunks * kMaxLanes;
      base = state.sum + chunks * kMaxLanes;
    }
    scores = base;
  }
};

}  // namespace pkv::detail
