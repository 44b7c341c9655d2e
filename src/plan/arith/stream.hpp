#pragma once

// The closed form of the `stream` cut. Costs are in tokens. A unit is one (row, KV head): it costs its tokens plus the
// constant of the segment that begins it. A row costs Hkv units, an empty row nothing.

#include "tiles.hpp"

namespace pkv::arith {

/// Cost of all units of a row.
PKV_HOST_DEVICE constexpr std::int64_t row_cost(std::int64_t tokens, std::int64_t heads, std::int64_t segment_cost) {
  return tokens > 0 ? heads * (tokens + segment_cost) : 0;
}

/// `total` dealt to `workers` in contiguous runs, the first total % workers of them one longer: where run w begins.
PKV_HOST_DEVICE constexpr std::int64_t run_begin(std::int64_t total, std::int64_t workers, std::int64_t w) {
  const std::int64_t longer = total % workers;
  return total / workers * w + (w < longer ? w : longer);
}

struct UnitPlace {
  std::int32_t head;  // may be Hkv: the place is the end of the row
  std::int32_t tile;
};

/// The tile nearest to cost `rest`, counted from the beginning of a row of `tokens` > 0. What lies inside the segment's
/// constant is its first tile.
PKV_HOST_DEVICE constexpr UnitPlace place_in_row(std::int64_t rest, std::int64_t tokens, std::int64_t segment_cost,
                                                 std::int64_t tile_tokens) {
  const std::int64_t unit_cost = tokens + segment_cost;
  const std::int64_t head = rest / unit_cost;
  const std::int64_t inside = rest - head * unit_cost - segment_cost;
  const std::int64_t tile = inside <= 0 ? 0 : (inside + tile_tokens / 2) / tile_tokens;
  if (tile >= num_tiles(tokens, tile_tokens)) return {static_cast<std::int32_t>(head + 1), 0};
  return {static_cast<std::int32_t>(head), static_cast<std::int32_t>(tile)};
}

/// Partial slot of worker w for a segment that begins at `tile_begin` of its unit: the unit that an earlier worker
/// began goes to slot 2w, the one that w itself begins and leaves to others to 2w + 1.
PKV_HOST_DEVICE constexpr std::int32_t partial_slot(std::int32_t worker, std::int32_t tile_begin) {
  return 2 * worker + (tile_begin == 0 ? 1 : 0);
}

}  // namespace pkv::arith
