#pragma once

// `stream`'s plan: prefix sums of the rows' costs, and the closed form of arith/stream.hpp. Every warp makes it for
// itself; its lanes find the ends of all the CTA's warps at once. No list is read or written.

#include "arith/stream.hpp"
#include "many_rows.cuh"
#include "tile_feeder.cuh"

namespace pkv::cuda {

/// CTAs that have parts of one unit.
struct Sharers {
  int first;
  int count;  ///< 0: there is no such unit
};

/// A plan in 32 or 64 bits: see arith/stream.hpp. kMayHalve: of a short step, every unit may be two CTAs'.
template <class Int, class Form, bool kMayHalve = false>
class StreamPlan {
  using SegmentCost = arith::SegmentCost<Int>;
  using CostedRow = pkv::cuda::CostedRow<Int>;
  using Rows = StepRows<Form>;
  using Many = ManyRows<Int, Form>;
  static_assert(SegmentCost::kMostRows == kWarpRows);

 public:
  using Shared = typename Many::Shared;

  /// `shared` is used where there are more rows than a warp holds.
  __device__ __forceinline__ StreamPlan(const StepParams& step, const StreamParams& stream, const RareCuts& rare,
                                        const Rows& rows, Shared& shared)
      : step_(step),
        stream_(stream),
        rare_(rare),
        rows_(rows),
        shared_(shared),
        tile_(static_cast<Int>(stream.tile_tokens.value)),
        segment_cost_{stream.segment_cost_tokens} {}

  /// For the whole CTA, before all else.
  __device__ __forceinline__ void make() {
    Alike rows_alike;
    if (__builtin_expect(rows_.more_than_a_warp_holds(), 0)) {
      const auto sum = Many::sum(step_, segment_cost_.tokens, shared_);
      total_ = sum.total;
      rows_per_thread_ = sum.rows_per_thread;
      rows_alike = sum.alike;
      is_long_ = is_long(total_ - static_cast<Int>(sum.alike.live) * step_.num_units * segment_cost_.tokens);
      if (is_even(rows_alike)) even_tokens_ = rows_alike.tokens;
    } else {
      rows_alike = sum_in_warp();
    }
    has_empty_rows_ = rows_alike.live < step_.batch;
    int tokens = whole().tokens_if_whole(rows_alike.tokens);
    not_before(tokens);  // else the code after it stands there twice
    const arith::StepCut<Int> cut =
        !is_long_ && (rows_alike.live == step_.batch || rows_alike.tokens == 0)
            ? arith::cut_step<Int>(total_, tokens, step_.batch * step_.num_units, whole(), segment_cost_.tokens,
                                   usual_workers(), least_run(stream_))
            : cut_rarely(total_, rows_alike, step_.num_units, stream_, workers(),
                         is_long_ ? rare_.long_whole_unit_tokens : rare_.whole_unit_tokens);
    ctas_ = cut.runs;
    if (cut.segment_cost != segment_cost_.tokens) resum(cut.segment_cost, rows_alike.tokens);
  }

  /// Whether there are rows without tokens. The same for the whole CTA.
  [[nodiscard]] __device__ __forceinline__ bool has_empty_rows() const { return has_empty_rows_; }

  /// Whether every unit is done by two CTAs, for half of the heads each. The same for all CTAs.
  [[nodiscard]] __device__ __forceinline__ bool halved() const { return kMayHalve && halved_; }
  /// Which run is a CTA's: then two that are launched one after the other have one.
  [[nodiscard]] __device__ __forceinline__ int worker(int cta) const { return halved() ? cta >> 1 : cta; }

  /// Where the run of warp `lane` of a worker begins; from lane `warps` on, where the worker's run ends.
  struct End {
    Place place;
    Int unit_begin;  // cost; of no meaning where place.token is 0
  };
  [[nodiscard]] __device__ __forceinline__ End end(int worker) const {
    const Int first = ctas_.begin(worker), warps = static_cast<Int>(stream_.warps.value);
    const Int warp = lane_id() < warps ? lane_id() : warps;
    const Int at = first + arith::Runs<Int>(ctas_.begin(worker + 1) - first, stream_.warps, tile_).begin(warp);

    const bool past_end = at >= total_;
    const CostedRow row = find(past_end ? 0 : at);
    const arith::UnitPlace unit =
        arith::place_in_row<Int>(past_end ? 0 : at - row.before, row.tokens, segment_cost_.of(row.tokens),
                                 stream_.tile_tokens, static_cast<Int>(stream_.uncut_tokens));
    End end{{row.row, unit.head, static_cast<int>(unit.tile * tile_), row.tokens},
            row.before + unit.head * (row.tokens + segment_cost_.of(row.tokens))};
    const Row next = rows_.next(row.row);
    if (unit.head == step_.num_units) end.place = {next.row, 0, 0, next.tokens};  // nearer than its row's last tile
    if (past_end) end.place = {step_.batch, 0, 0, 0};
    return end;
  }

  /// Which workers have parts of the unit that a lane's end cuts.
  [[nodiscard]] __device__ __forceinline__ Sharers sharers(const End& end) const {
    if (end.place.token == 0) return {0, 0};
    arith::Runs<Int> ctas = ctas_;
    not_before(ctas.base);  // the first loads are under way, and do not wait for this
    const auto owner = [&](Int t) {
      return static_cast<int>(
          ctas.owner(end.unit_begin +
                     arith::last_cost_of_tile<Int>(t, end.place.tokens, segment_cost_.of(end.place.tokens), tile_)));
    };
    const int first = owner(0);
    return {first, owner(stream_.tile_tokens.divide(static_cast<Int>(end.place.tokens - 1))) - first + 1};
  }

 private:
  [[nodiscard]] __device__ __forceinline__ const arith::WholeUnits& whole() const {
    return halved() ? rare_.whole_halves : stream_.whole;
  }
  [[nodiscard]] __device__ __forceinline__ const arith::Divisor& usual_workers() const {
    return halved() ? rare_.half_workers : stream_.workers;
  }
  [[nodiscard]] __device__ __forceinline__ const arith::Divisor& workers() const {
    return __builtin_expect(is_long_, 0) ? rare_.long_workers : usual_workers();
  }
  [[nodiscard]] __device__ __forceinline__ static arith::LeastRun<Int> least_run(const StreamParams& stream) {
    return {static_cast<Int>(stream.min_run_tokens), static_cast<Int>(stream.ahead_tokens)};
  }
  /// `tokens`: of all units.
  [[nodiscard]] __device__ __forceinline__ bool is_long(Int tokens) const {
    return tokens >> 10 >= static_cast<Int>(stream_.long_step_kilotokens);
  }

  /// Whether all rows have equally many tokens: then there is nothing to sum up or to search.
  __device__ __forceinline__ bool is_even(const Alike& alike) const {
    return alike.tokens > 0 && alike.live == step_.batch;
  }

  __device__ __forceinline__ Alike sum_in_warp() {
    Alike alike;
    Int own = 0;
    if (__builtin_expect(rows_.several_a_lane(), 0)) {
      RowLengths lengths = RowLengths::none();
#pragma unroll
      for (int j = 0; j < kLaneRows; ++j) {
        lengths.add(rows_.own_tokens(j));
        own += rows_.own_tokens(j);
      }
      lengths.join_lanes();
      alike = lengths.alike();
    } else {
      alike = {rows_.alike(), rows_.num_live()};
      own = rows_.own_tokens();
    }
    const Int tokens = alike.tokens > 0 ? static_cast<Int>(alike.tokens) * alike.live : sum_of_lanes<Int>(own);
    if constexpr (kMayHalve) {
      // By a vote, so that the compiler knows that all lanes agree.
      halved_ =
          __any_sync(kAllLanes, stream_.may_halve && arith::halves_units<Int>(tokens * step_.num_units, stream_.workers,
                                                                              arith::kHalvedRun)) != 0;
    }
    is_long_ = is_long(tokens * step_.num_units);
    if (is_even(alike)) {
      even_tokens_ = alike.tokens;
      total_ = step_.batch * arith::row_cost<Int>(even_tokens_, step_.num_units, segment_cost_.tokens);
      return alike;
    }
    if (alike.tokens == 0) {
      segment_cost_.long_row =
          SegmentCost::long_row_of(tokens * step_.num_units, workers(), static_cast<Int>(stream_.min_run_tokens));
    }
    Int mine = own_cost(0);
    if (__builtin_expect(rows_.several_a_lane(), 0)) {
#pragma unroll
      for (int j = 1; j < kLaneRows; ++j) mine += own_cost(j);
    }
    const int lanes = rows_.num_lanes();
    const Int through = inclusive_sum<Int>(mine, lanes);
    total_ = __shfl_sync(kAllLanes, through, lanes - 1);
    before_ = lane_id() < lanes ? through - mine : total_;
    return alike;
  }

  __device__ __forceinline__ Int own_cost(int j) const {
    return arith::row_cost<Int>(rows_.own_tokens(j), step_.num_units, segment_cost_.of(rows_.own_tokens(j)));
  }

  /// Of rows that are alike but for empty ones, and of long steps.
  __device__ __noinline__ static arith::StepCut<Int> cut_rarely(Int total, const Alike& alike, int num_units,
                                                                const StreamParams& stream,
                                                                const arith::Divisor& workers, int whole_unit_tokens) {
    const std::int64_t units = std::int64_t{alike.live} * num_units;
    const arith::WholeUnits whole(units, workers.value, whole_unit_tokens);
    return arith::cut_step<Int>(total, whole.tokens_if_whole<Int>(alike.tokens), static_cast<Int>(units), whole,
                                stream.segment_cost_tokens, workers, least_run(stream));
  }

  /// Of rows that are alike, once their segments' constant is another.
  __device__ __forceinline__ void resum(Int segment_cost, int tokens) {
    const Int before = step_.num_units * (tokens + segment_cost_.tokens),
              after = step_.num_units * (tokens + segment_cost);
    segment_cost_.tokens = segment_cost;
    total_ = ctas_.total;
    if (even_tokens_ > 0) return;
    if (!rows_.more_than_a_warp_holds()) {
      before_ = before_ / before * after;
    } else {
      __syncthreads();
      shared_.before[threadIdx.x] = shared_.before[threadIdx.x] / before * after;
      __syncthreads();
    }
  }

  /// The row in which the cost of each of the first lanes lies, one more than a CTA has warps: the last that begins at
  /// or before it, which is not empty, for the next one begins after it.
  __device__ __forceinline__ CostedRow find(Int at) const {
    if (even_tokens_ > 0) {
      const Int cost = arith::row_cost<Int>(even_tokens_, step_.num_units, segment_cost_.tokens);
      const Int row = arith::small_quotient<Int>(at, cost);
      return {static_cast<int>(row), even_tokens_, row * cost};
    }
    if (__builtin_expect(rows_.more_than_a_warp_holds(), 0))
      return Many::find(step_, segment_cost_.tokens, shared_, rows_per_thread_, at);
    int lane = 0;
    const int asking = min(lane_id(), kMaxWarps);  // those past the last have its cost, and shall have its row
    // All at once, instead of a search of five steps, each of which waits for the one before.
#pragma unroll
    for (int asks = 0; asks <= kMaxWarps; ++asks) {
      const unsigned begun = __ballot_sync(kAllLanes, before_ <= __shfl_sync(kAllLanes, at, asks));
      if (asking == asks) lane = __popc(begun) - 1;
    }
    CostedRow found{lane, __shfl_sync(kAllLanes, rows_.own_tokens(), lane), __shfl_sync(kAllLanes, before_, lane)};
    if (__builtin_expect(rows_.several_a_lane(), 0)) {
      found.row *= kLaneRows;
#pragma unroll
      for (int j = 1; j < kLaneRows; ++j) {
        const int tokens = __shfl_sync(kAllLanes, rows_.own_tokens(j), lane);
        const Int after =
            found.before + arith::row_cost<Int>(found.tokens, step_.num_units, segment_cost_.of(found.tokens));
        if (found.row == lane * kLaneRows + j - 1 && after <= at) found = {found.row + 1, tokens, after};
      }
    }
    return found;
  }

  const StepParams& step_;
  const StreamParams& stream_;
  const RareCuts& rare_;
  const Rows& rows_;
  Shared& shared_;
  Int tile_;
  SegmentCost segment_cost_;
  Int total_ = 0;
  arith::Runs<Int> ctas_;
  bool has_empty_rows_ = false;
  bool halved_ = false;
  bool is_long_ = false;
  int even_tokens_ = 0;      // of every row, if all have as many
  Int before_ = 0;           // of this lane's rows, if a warp holds all
  int rows_per_thread_ = 1;  // if not
};

union PlanShared {
  ManyRowsShared<std::int32_t> narrow;
  ManyRowsShared<std::int64_t> wide;
};

}  // namespace pkv::cuda
