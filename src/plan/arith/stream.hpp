#pragma once

// The closed form of the `stream` cut. Costs are in tokens. A unit is one (row, KV head): it costs its tokens plus the
// constant of the segment that begins it. A row costs Hkv units, an empty row nothing.
//
// Int is std::int64_t, or std::int32_t where the total cost of the step is known to stay below 2^31: results are the
// same.

#include "divide.hpp"
#include "tiles.hpp"

namespace pkv::arith {

/// Cost of all units of a row.
template <class Int>
PKV_HOST_DEVICE constexpr Int row_cost(Int tokens, Int heads, Int segment_cost) {
  return tokens > 0 ? heads * (tokens + segment_cost) : 0;
}

/// The constant of a segment in a step of one row, where each KV head can have `workers_per_unit` workers for itself:
/// the least that lets every unit begin with a worker, so that no worker sees two of them.
template <class Int>
PKV_HOST_DEVICE constexpr Int aligned_segment_cost(Int tokens, const Divisor& workers_per_unit) {
  const Int workers = static_cast<Int>(workers_per_unit.value);
  const Int rest = tokens - workers_per_unit.divide(tokens) * workers;
  return rest == 0 ? 0 : workers - rest;
}

/// A total dealt to workers in contiguous runs, the first `longer` of them one longer. No run is shorter than `least`,
/// but for the last that is not empty: where there is too little for everyone, the last workers get nothing.
template <class Int>
struct Runs {
  Int total = 0;
  Int base = 0;
  Int longer = 0;

  Runs() = default;
  PKV_HOST_DEVICE constexpr Runs(Int of, const Divisor& workers, Int least)
      : total(of), base(workers.divide(of)), longer(of - base * static_cast<Int>(workers.value)) {
    if (base < least) {
      base = least;
      longer = 0;
    }
  }

  /// Where run w begins, and run w - 1 ends. Where runs are `least` long, workers times `least` must fit an Int.
  [[nodiscard]] PKV_HOST_DEVICE constexpr Int begin(Int w) const {
    const Int at = base * w + (w < longer ? w : longer);
    return at < total ? at : total;
  }
  /// The run that holds `at`, which lies in [0, total); at most 2^20 workers.
  [[nodiscard]] PKV_HOST_DEVICE constexpr Int owner(Int at) const {
    const Int in_longer = longer * (base + 1);
    const bool is_longer = at < in_longer;
    return (is_longer ? 0 : longer) + small_quotient<Int>(is_longer ? at : at - in_longer, is_longer ? base + 1 : base);
  }
};

struct UnitPlace {
  std::int32_t head;  // may be Hkv: the place is the end of the row
  std::int32_t tile;
};

/// The tile nearest to cost `rest`, counted from the beginning of a row of `tokens` > 0. What lies inside the segment's
/// constant is its first tile.
template <class Int>
PKV_HOST_DEVICE constexpr UnitPlace place_in_row(Int rest, Int tokens, Int segment_cost, const Divisor& tile_tokens) {
  const Int unit_cost = tokens + segment_cost;
  const Int head = small_quotient<Int>(rest, unit_cost);
  const Int inside = rest - head * unit_cost - segment_cost;
  const Int size = static_cast<Int>(tile_tokens.value);
  const Int tile = inside <= 0 ? 0 : tile_tokens.divide(inside + size / 2);
  if (tile * size >= tokens) return {static_cast<std::int32_t>(head + 1), 0};
  return {static_cast<std::int32_t>(head), static_cast<std::int32_t>(tile)};
}

/// The greatest cost, counted from the beginning of a unit, that place_in_row() takes for `tile` or one before it: the
/// owner of the run in which it lies is the one that reads the tile.
template <class Int>
PKV_HOST_DEVICE constexpr Int last_cost_of_tile(Int tile, Int tokens, Int segment_cost, Int tile_tokens) {
  const Int nearest = segment_cost + tile * tile_tokens + (tile_tokens + 1) / 2 - 1;
  const Int last = tokens + segment_cost - 1;
  return nearest < last ? nearest : last;
}

/// Partial slot of worker w for a segment that begins at `tile_begin` of its unit: the unit that an earlier worker
/// began goes to slot 2w, the one that w itself begins and leaves to others to 2w + 1.
PKV_HOST_DEVICE constexpr std::int32_t partial_slot(std::int32_t worker, std::int32_t tile_begin) {
  return 2 * worker + (tile_begin == 0 ? 1 : 0);
}

}  // namespace pkv::arith
