#pragma once

// The tile choices: one entry a head_dim. 8 warps with rings of 128 KB together are where the bytes in flight suffice
// for an H200 (docs/design/cuda-engine.md, version 2); what was timed with each is in docs/benchmarks.md. 80 and 96
// were not timed, and have no kernels for usual steps, which take long to compile.

namespace pkv::cuda {

struct TileChoice {
  int head_dim;
  int stages;      // of 16 tokens of K and V, in the ring of each warp
  int max_blocks;  // of 8 query heads that one pass over K and V serves
  bool has_usual;  // kernels for usual steps: kernels/params.hpp
};

inline constexpr TileChoice kTileTable[] = {
    {64, 4, 2, true},   // 128 KB of 8 rings
    {80, 3, 2, false},  // 132 KB
    {96, 3, 2, false},  // 156 KB
    {128, 2, 2, true},  // 128 KB
    {256, 2, 1, true},  // 192 KB of 6 rings; a second block would need 256 registers for the state alone
};

constexpr TileChoice tile_choice(int head_dim) {
  for (const TileChoice& choice : kTileTable)
    if (choice.head_dim == head_dim) return choice;
  return {0, 0, 0, false};
}

}  // namespace pkv::cuda
