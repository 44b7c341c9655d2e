#pragma once

// The closed form of the `stream` cut. Costs are in tokens. A unit is one (row, KV head): it costs its tokens plus the
// constant of the segment that begins it. A row costs Hkv units, an empty row nothing.
//
// Int is std::int64_t, or std::int32_t where the total cost of the step is known to stay below 2^31: results are the
// same.

#include "divide.hpp"
#include "tiles.hpp"

#include <limits>
#include <type_traits>

namespace pkv::arith {

/// Cost of all units of a row.
template <class Int>
PKV_HOST_DEVICE constexpr Int row_cost(Int tokens, Int heads, Int segment_cost) {
  return tokens > 0 ? heads * (tokens + segment_cost) : 0;
}

/// How many workers a unit gets, or units a worker, in a step whose units all cost the same. Then nobody has partial
/// results of two units. Whole numbers leave workers idle, which is worth it where these are no more than a sixteenth,
/// and would have relieved each of the others of no more than `most_relief` tokens: twice as many where workers have
/// whole units, and so nothing at all to merge.
struct WholeUnits {
  Divisor workers_per_unit;           ///< where units_per_worker is 0
  std::int32_t units_per_worker = 0;  ///< or 0
  std::int32_t most_tokens = 0;       ///< units of more are cut as if they differed

  WholeUnits() = default;
  PKV_HOST_DEVICE constexpr WholeUnits(std::int64_t units, std::int64_t workers, std::int64_t most_relief) {
    if (units <= 0 || units > 1 << 20) return;
    std::int64_t each = workers >= units ? workers / units : (units + workers - 1) / workers;
    if (workers >= units) {
      // Parts of a unit are merged 32 at a time: a few more would take as long as another 32.
      if (const std::int64_t turns = each - each % 32; turns > 0 && 16 * turns * units >= 15 * workers) each = turns;
      if (16 * each * units < 15 * workers) return;
      workers_per_unit = Divisor(each);
      set_most_tokens(most_relief * workers * each, workers - each * units);
    } else if (units % each == 0 && 16 * (units / each) >= 15 * workers) {
      units_per_worker = static_cast<std::int32_t>(each);
      set_most_tokens(2 * most_relief * workers / each, workers - units / each);
    }
  }

  /// For cut_step(): `tokens` of every unit, or 0 where the units are cut as if they differed.
  template <class Int>
  [[nodiscard]] PKV_HOST_DEVICE constexpr Int tokens_if_whole(Int tokens) const {
    return tokens > static_cast<Int>(most_tokens) ? 0 : tokens;
  }

 private:
  PKV_HOST_DEVICE constexpr void set_most_tokens(std::int64_t relief, std::int64_t idle) {
    constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
    const std::int64_t most = idle > 0 ? relief / idle : kMost;
    most_tokens = static_cast<std::int32_t>(most < kMost ? most : kMost);
  }
};

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

  /// Of `each`, which must divide the total; further workers get nothing.
  [[nodiscard]] PKV_HOST_DEVICE constexpr static Runs exact(Int of, Int each) {
    Runs runs;
    runs.total = of;
    runs.base = each;
    return runs;
  }

  /// Where run w begins, and run w - 1 ends. Beyond the last run that is not empty, products may pass the greatest Int,
  /// but not twice as much.
  [[nodiscard]] PKV_HOST_DEVICE constexpr Int begin(Int w) const {
    using Unsigned = std::make_unsigned_t<Int>;
    const Unsigned at =
        static_cast<Unsigned>(base) * static_cast<Unsigned>(w) + static_cast<Unsigned>(w < longer ? w : longer);
    return at < static_cast<Unsigned>(total) ? static_cast<Int>(at) : total;
  }
  /// The run that holds `at`, which lies in [0, total); at most 2^20 workers.
  [[nodiscard]] PKV_HOST_DEVICE constexpr Int owner(Int at) const {
    const Int in_longer = longer * (base + 1);
    const bool is_longer = at < in_longer;
    return (is_longer ? 0 : longer) + small_quotient<Int>(is_longer ? at : at - in_longer, is_longer ? base + 1 : base);
  }
};

/// The least that a worker is given. Where its first `ahead` tokens are on their way before the kernel ahead has ended,
/// half as much again as an even share: as long as most of a run is there by then, a step gains more from a third of
/// the workers that it leaves to the next kernel than from having them.
template <class Int>
struct LeastRun {
  Int tokens = 0;
  Int ahead = 0;  ///< 0: no kernel is

  /// `even`: what each would get if all got something.
  [[nodiscard]] PKV_HOST_DEVICE constexpr Int of(Int even) const {
    const Int full = even < ahead ? even : ahead, longer = full + full / 2;
    return longer > tokens ? longer : tokens;
  }
};

/// What beginning a segment costs. A worker with the ends of two units joins and merges twice, and if many others share
/// these, long after them: units that many share cost more, so that it is there before them. By how much is paid by
/// all, and so it is only for few units.
template <class Int>
struct SegmentCost {
  static constexpr Int kMany = 16;                ///< sharers
  static constexpr Int kMore = 5;                 ///< times as much
  static constexpr std::int32_t kMostRows = 128;  ///< with more, and with rows that are alike, no row is long

  Int tokens = 0;
  Int long_row = std::numeric_limits<Int>::max();  ///< rows of so many tokens have units that many share

  /// `all_tokens`: of all units of the step.
  [[nodiscard]] PKV_HOST_DEVICE constexpr static Int long_row_of(Int all_tokens, const Divisor& workers, Int least) {
    const Int run = workers.divide(all_tokens), longer = run > least ? run : least;
    constexpr Int kNone = std::numeric_limits<Int>::max();
    return longer > kNone / kMany ? kNone : kMany * longer;
  }
  [[nodiscard]] PKV_HOST_DEVICE constexpr Int of(Int row_tokens) const {
    return row_tokens >= long_row ? kMore * tokens : tokens;
  }
};

/// Whether a step is so short that units of more than 8 query heads are done by two workers each, for half of the
/// heads: the two read the same K and V at the same time, one of them from L2, and have half as much to join and to
/// merge. Of steps of at most kMostHalvedRows rows.
inline constexpr int kMostHalvedRows = 32;
inline constexpr int kHalvedRun = 4096;  ///< tokens that each worker then has of all units
template <class Int>
PKV_HOST_DEVICE constexpr bool halves_units(Int all_tokens, const Divisor& workers, int run) {
  return workers.divide(all_tokens) < static_cast<Int>(run);
}

/// Tokens that each worker has of all units, in a step so long that a launch which overlaps its neighbours does not
/// leave a place free for them; half as many where it would leave two.
inline constexpr int kLongRun = 30000;

/// The runs of a step, and the constant of its segments.
template <class Int>
struct StepCut {
  Runs<Int> runs;
  Int segment_cost = 0;
};

/// `tokens`: whole.tokens_if_whole() of those of every row that is not empty, if they are all alike; else 0. `total`:
/// the step's cost with this constant.
template <class Int>
PKV_HOST_DEVICE constexpr StepCut<Int> cut_step(Int total, Int tokens, Int units, const WholeUnits& whole,
                                                Int segment_cost, const Divisor& workers,
                                                const LeastRun<Int>& least_run) {
  if (tokens > 0 && whole.units_per_worker > 0)
    return {Runs<Int>::exact(total, static_cast<Int>(whole.units_per_worker) * (tokens + segment_cost)), segment_cost};
  if (tokens > 0) {
    // The least constant that lets every unit begin with a worker.
    const Int each = whole.workers_per_unit.divide(static_cast<Int>(tokens - 1)) + 1;
    const Int padded = each * static_cast<Int>(whole.workers_per_unit.value), least = least_run.of(each);
    if (each >= least) return {Runs<Int>::exact(padded * units, each), padded - tokens};
    // Fewer workers a unit, so that their runs are long enough; a unit that is shorter still has one of its own.
    const Int enough = small_quotient<Int>(tokens, least), fewer = enough > 1 ? enough : 1;
    const Int longer = small_quotient<Int>(tokens - 1, fewer) + 1;
    return {Runs<Int>::exact(longer * fewer * units, longer), longer * fewer - tokens};
  }
  return {Runs<Int>(total, workers, least_run.of(workers.divide(total))), segment_cost};
}

struct UnitPlace {
  std::int32_t head;  // may be Hkv: the place is the end of the row
  std::int32_t tile;
};

/// How much of the constant of a segment is counted before its tokens; the rest is after them, so that a unit that is
/// cut in the middle of its cost is cut in the middle.
template <class Int>
PKV_HOST_DEVICE constexpr Int cost_before_tokens(Int segment_cost) {
  return static_cast<Int>(static_cast<std::make_unsigned_t<Int>>(segment_cost) / 2);
}

/// The tile nearest to cost `rest`, counted from the beginning of a row of `tokens` > 0. Of a row of at most `uncut`
/// tokens, the unit nearest to it.
template <class Int>
PKV_HOST_DEVICE constexpr UnitPlace place_in_row(Int rest, Int tokens, Int segment_cost, const Divisor& tile_tokens,
                                                 Int uncut) {
  const Int unit_cost = tokens + segment_cost;
  const Int head = small_quotient<Int>(rest, unit_cost);
  const Int size = static_cast<Int>(tile_tokens.value);
  Int inside = rest - head * unit_cost - cost_before_tokens(segment_cost);
  if (tokens <= uncut) inside = 2 * inside < tokens ? 0 : tokens + size;
  const Int tile = inside <= 0 ? 0 : tile_tokens.divide(inside + size / 2);
  if (tile * size >= tokens) return {static_cast<std::int32_t>(head + 1), 0};
  return {static_cast<std::int32_t>(head), static_cast<std::int32_t>(tile)};
}

/// The greatest cost, counted from the beginning of a unit, that place_in_row() takes for `tile` or one before it: the
/// owner of the run in which it lies is the one that reads the tile.
template <class Int>
PKV_HOST_DEVICE constexpr Int last_cost_of_tile(Int tile, Int tokens, Int segment_cost, Int tile_tokens) {
  const Int nearest = cost_before_tokens(segment_cost) + tile * tile_tokens + (tile_tokens + 1) / 2 - 1;
  const Int last = tokens + segment_cost - 1;
  return nearest < last ? nearest : last;
}

/// Partial slot of worker w for a segment that begins at `tile_begin` of its unit: the unit that an earlier worker
/// began goes to slot 2w, the one that w itself begins and leaves to others to 2w + 1.
PKV_HOST_DEVICE constexpr std::int32_t partial_slot(std::int32_t worker, std::int32_t tile_begin) {
  return 2 * worker + (tile_begin == 0 ? 1 : 0);
}

}  // namespace pkv::arith
