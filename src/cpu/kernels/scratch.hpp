#pragma once

// What a thread needs while it works: one cache-aligned piece of the workspace, and its own counters.

#include "kernels/block_cursor.hpp"

#include <array>
#include <cstdint>

namespace pkv::detail {

/// What a thread has done in a run.
struct WorkCounts {
  std::int64_t workers = 0;
  std::int64_t segments = 0;
  std::int64_t partials = 0;
  std::int64_t kv_tokens = 0;
};

/// Of one segment, for every chunk of heads one after the other. N is the number of lanes of the target.
struct SoftmaxState {
  float* q = nullptr;       // [chunks, head_dim / N, kChunkHeads, N], scaled for powers of two
  float* acc = nullptr;     // [chunks, kChunkHeads, head_dim]
  float* max = nullptr;     // [chunks, kChunkHeads], padded to kMaxLanes a chunk
  float* sum = nullptr;     // [chunks, kMaxLanes]: lane i belongs to head i % kChunkHeads
  float* scores = nullptr;  // [chunks, block_tokens, kChunkHeads]: of a block, then its weights
};

struct Scratch {
  std::array<SoftmaxState, kMaxTogether> states;
  std::array<TokenBlock, 2> blocks;  // the one that is worked on, and the next
  WorkCounts counts;

  /// Floats behind the arrays.
  [[nodiscard]] static std::int64_t num_floats(const DecodeArgs& args) noexcept {
    const std::int64_t chunks = args.num_chunks();
    const std::int64_t state = 2 * std::int64_t{kChunkHeads} * args.head_dim + std::int64_t{2} * kMaxLanes +
                               std::int64_t{args.block_tokens} * kChunkHeads;
    return chunks * kMaxTogether * state;
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
      state.scores = state.sum + chunks * kMaxLanes;
      base = state.scores + chunks * args.block_tokens * kChunkHeads;
    }
  }
};

}  // namespace pkv::detail
