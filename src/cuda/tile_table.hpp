#pragma once

// The tile choices: one entry a head_dim, each beside the measurement that justified it (docs/design/cuda-engine.md).

namespace pkv::cuda {

struct TileChoice {
  int head_dim;
  int stages;      // of 16 tokens of K and V, in the ring of each warp
  int max_blocks;  // of 8 query heads that one pass over K and V serves
};

inline constexpr TileChoice kTileTable[] = {
    {64, 4, 2},   // 147 KB of 8 rings
    {80, 3, 2},   // 135 KB
    {96, 3, 2},   // 160 KB
    {128, 2, 2},  // 139 KB
    {256, 2, 1},  // 203 KB of 6 rings; a second block would need 256 registers for the state alone
};

constexpr TileChoice tile_choice(int head_dim) {
  for (const TileChoice& choice : kTileTable)
    if (choice.head_dim == head_dim) return choice;
  return {0, 0, 0};
}

}  // namespace pkv::cuda
