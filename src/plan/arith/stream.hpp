#pragma once

// The closed form of the `stream` cut. Costs are in tokens. A unit is one (row, KV head): it costs its tokens plus the
// constant of the segment that begins it. A row costs Hkv units, an empty row nothing.

#include "divide.hpp"
#include "tiles.hpp"

namespace pkv::arith {

/// Cost of all units of a row.
PKV_HOST_DEVICE constexpr std::int64_t row_cost(std::int64_t tokens, std::int64_t heads, std::int64_t segment_cost) {
  return tokens > 0 ? heads * (tokens + segment_cost) : 0;
}

/// The constant of a segment in a step of one row, where each KV head can have `workers_per_unit` workers for itself:
/// the least that lets every unit begin with a worker, so that no worker sees two of them.
PKV_HOST_DEVICE constexpr std::int64_t aligned_segment_cost(std::int64_t tokens, Divisor workers_per_unit) {
  const std::int64_t rest = tokens - workers_per_unit.divide(tokens) * workers_per_unit.value;
  return rest == 0 ? 0 : workers_per_unit.value - rest;
}

/// A total dealt to workers in contiguous runs, the first `longer` of them one longer. No run is shorter than `least`,
/// but for the last that is not empty: where there is too little for everyone, the last workers get nothing.
struct Runs {
  std::int64_t total = 0;
  std::int64_t base = 0;
  std::int64_t longer = 0;

  Runs() = default;
  PKV_HOST_DEVICE constexpr Runs(std::int64_t of, Divisor workers, std::int64_t least)
      : total(of), base(workers.divide(of)), longer(of - base * workers.value) {
    if (base < least) {
      base = least;
      longer = 0;
    }
  }

  /// Where run w begins, and run w - 1 ends.
  [[nodiscard]] PKV_HOST_DEVICE constexpr std::int64_t begin(std::int64_t w) const {
    const std::int64_t at = base * w + (w < longer ? w : longer);
    return at < total ? at : total;
  }
  /// The run that holds `at`, which lies in [0, total); at most 2^20 workers.
  [[nodiscard]] PKV_HOST_DEVICE constexpr std::int64_t owner(std::int64_t at) const {
    const std::int64_t in_longer = longer * (base + 1);
    return at < in_longer ? small_quotient(at, base + 1) : longer + small_quotient(at - in_longer, base);
  }
};

struct UnitPlace {
  std::int32_t head;  // may be Hkv: the place is the end of the row
  std::int32_t tile;
};

/// The tile nearest to cost `rest`, counted from the beginning of a row of `tokens` > 0. What lies inside the segment's
/// constant is its first tile.
PKV_HOST_DEVICE constexpr UnitPlace place_in_row(std::int64_t rest, std::int64_t tokens, std::int64_t segment_cost,
                                                 Divisor tile_tokens) {
  const std::int64_t unit_cost = tokens + segment_cost;
  const std::int64_t head = small_quotient(rest, unit_cost);
  const std::int64_t inside = rest - head * unit_cost - segment_cost;
  const std::int64_t tile = inside <= 0 ? 0 : tile_tokens.divide(inside + tile_tokens.value / 2);
  if (tile * tile_tokens.value >= tokens) return {static_cast<std::int32_t>(head + 1), 0};
  return {static_cast<std::int32_t>(head), static_cast<std::int32_t>(tile)};
}

/// The greatest cost, counted from the beginning of a unit, that place_in_row() takes for `tile` or one before it: the
/// owner of the run in which it lies is the one that reads the tile.
PKV_HOST_DEVICE constexpr std::int64_t last_cost_of_tile(std::int64_t tile, std::int64_t tokens,
                                                         std::int64_t segment_cost, std::int64_t tile_tokens) {
  const std::int64_t nearest = segment_cost + tile * tile_tokens + (tile_tokens + 1) / 2 - 1;
  const std::int64_t last = tokens + segment_cost - 1;
  return nearest < last ? nearest : last;
}

/// Partial slot of worker w for a segment that begins at `tile_begin` of its unit: the unit that an earlier worker
/// began goes to slot 2w, the one that w itself begins and leaves to others to 2w + 1.
PKV_HOST_DEVICE constexpr std::int32_t partial_slot(std::int32_t worker, std::int32_t tile_begin) {
  return 2 * worker + (tile_begin == 0 ? 1 : 0);
}

}  // namespace pkv::arith
