#include "persistentkv/plan/stream_cut.hpp"

#include "arith/stream.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/core/step.hpp"
#include "validate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

namespace pkv {

namespace {

void require(const char* name, int value, int low, int high) {
  if (value < low || value > high)
    throw InvalidArgument(fmt::format("{} is {}, must be in [{}, {}]", name, value, low, high));
}

void check(int num_kv_heads, const PlanOptions& options) {
  constexpr int kMost = 1 << 20;
  require("num_kv_heads", num_kv_heads, 1, 65536);
  require("num_workers", options.num_workers, 1, kMost);
  require("segment_cost_tokens", options.segment_cost_tokens, 0, kMost);
  require("min_run_tokens", options.min_run_tokens, 0, kMost);
  require("ahead_tokens", options.ahead_tokens, 0, kMost);
  require("uncut_tokens", options.uncut_tokens, 0, kMost);
  require("whole_unit_tokens", options.whole_unit_tokens, 0, PlanOptions::kMaxWholeUnitTokens);
  detail::validate_tile_tokens(options.tile_tokens);
}

}  // namespace

void StreamCut::assign(int num_kv_heads, std::span<const std::int32_t> lengths, const PlanOptions& options) {
  check(num_kv_heads, options);
  detail::validate_lengths(lengths);
  num_kv_heads_ = num_kv_heads;
  num_workers_ = options.num_workers;
  tile_tokens_ = options.tile_tokens;
  segment_cost_tokens_ = options.segment_cost_tokens;
  long_row_ = std::numeric_limits<std::int64_t>::max();
  uncut_tokens_ = options.uncut_tokens;

  lengths_.resize(lengths.size());
  cost_before_.resize(lengths.size() + 1);
  std::int64_t live = 0;
  std::int32_t shortest = 0;
  std::int32_t longest = 0;
  for (std::size_t row = 0; row < lengths.size(); ++row) {
    lengths_[row] = std::max(lengths[row], 0);
    if (lengths_[row] == 0) continue;
    shortest = live == 0 ? lengths_[row] : std::min(shortest, lengths_[row]);
    longest = std::max(longest, lengths_[row]);
    ++live;
  }
  const std::int64_t units = live * num_kv_heads;
  const arith::LeastRun<std::int64_t> least{std::max(options.min_run_tokens, tile_tokens_), options.ahead_tokens};
  const arith::Divisor workers(num_workers_);
  using SegmentCost = arith::SegmentCost<std::int64_t>;
  if (shortest != longest && lengths.size() <= SegmentCost::kMostRows) {
    const std::int64_t tokens = std::accumulate(lengths_.begin(), lengths_.end(), std::int64_t{0});
    long_row_ = SegmentCost::long_row_of(tokens * num_kv_heads, workers, least.tokens);
  }
  sum_costs();
  const arith::WholeUnits whole(units, num_workers_, options.whole_unit_tokens);
  const std::int32_t alike = shortest == longest ? whole.tokens_if_whole(longest) : 0;
  const auto cut =
      arith::cut_step<std::int64_t>(total_cost(), alike, units, whole, segment_cost_tokens_, workers, least);
  run_tokens_ = cut.runs.base;
  longer_runs_ = cut.runs.longer;
  if (cut.segment_cost != segment_cost_tokens_) {
    segment_cost_tokens_ = static_cast<int>(cut.segment_cost);
    sum_costs();
  }
}

std::int64_t StreamCut::segment_cost(std::int32_t row_tokens) const noexcept {
  return arith::SegmentCost<std::int64_t>{segment_cost_tokens_, long_row_}.of(row_tokens);
}

void StreamCut::sum_costs() {
  std::int64_t cost = 0;
  cost_before_[0] = 0;
  for (std::size_t row = 0; row < lengths_.size(); ++row) {
    cost += arith::row_cost<std::int64_t>(lengths_[row], num_kv_heads_, segment_cost(lengths_[row]));
    cost_before_[row + 1] = cost;
  }
  if (cost > arith::kMaxTotalCost) {
    throw InvalidArgument(fmt::format("lengths sum to a cost of {} tokens over {} KV heads, must be at most {}", cost,
                                      num_kv_heads_, arith::kMaxTotalCost));
  }
}

StreamCut::Position StreamCut::begin(int worker) const noexcept {
  const auto batch = static_cast<std::int32_t>(lengths_.size());
  arith::Runs<std::int64_t> runs = arith::Runs<std::int64_t>::exact(total_cost(), run_tokens_);
  runs.longer = longer_runs_;
  const std::int64_t at = runs.begin(worker);
  if (at >= total_cost()) return {batch, 0, 0};
  // The last row that begins at or before `at` is not empty, for the next one begins after it.
  const auto after = std::upper_bound(cost_before_.begin(), cost_before_.end(), at);
  auto row = static_cast<std::int32_t>(after - cost_before_.begin()) - 1;
  const auto index = static_cast<std::size_t>(row);
  const arith::UnitPlace place =
      arith::place_in_row<std::int64_t>(at - cost_before_[index], lengths_[index], segment_cost(lengths_[index]),
                                        arith::Divisor(tile_tokens_), uncut_tokens_);
  if (place.head < num_kv_heads_) return {row, place.head, place.tile};
  do ++row;
  while (row < batch && lengths_[static_cast<std::size_t>(row)] == 0);
  return {row, 0, 0};
}

WorkPlan StreamCut::materialize(int num_q_heads, int head_dim) const {
  PlanParts parts;
  parts.name = to_string(Schedule::kStream);
  parts.num_q_heads = num_q_heads;
  parts.num_kv_heads = num_kv_heads_;
  parts.head_dim = head_dim;
  parts.tile_tokens = tile_tokens_;
  parts.lengths = lengths_;
  parts.num_slots = 2 * num_workers_;
  parts.worker_offsets.reserve(static_cast<std::size_t>(num_workers_) + 1);
  parts.worker_offsets.push_back(0);
  parts.launches.push_back({Launch::Kind::kDecodeMerge, 0, num_workers_});
  const std::size_t units = lengths_.size() * static_cast<std::size_t>(num_kv_heads_);
  if (units > std::size_t{1} << 30)
    throw InvalidArgument(fmt::format("batch {} * num_kv_heads {} exceeds 2^30 tasks", lengths_.size(), num_kv_heads_));
  parts.segments.reserve(units + static_cast<std::size_t>(num_workers_));

  Position at = begin(0);
  for (std::int32_t w = 0; w < num_workers_; ++w) {
    const Position end = begin(w + 1);
    while (at != end) {
      const std::int32_t tiles = arith::num_tiles(lengths_[static_cast<std::size_t>(at.row)], tile_tokens_);
      const bool ends_here = at.row == end.row && at.kv_head == end.kv_head;
      const std::int32_t tile_end = ends_here ? end.tile : tiles;
      const bool whole = at.tile == 0 && tile_end == tiles;
      const std::int32_t slot = whole ? Segment::kNoSlot : arith::partial_slot(w, at.tile);
      parts.segments.push_back({at.row, at.kv_head, at.tile, tile_end, slot});
      if (!whole) {
        const auto slots = static_cast<std::int32_t>(parts.merge_slots.size());
        if (at.tile == 0) parts.merges.push_back({at.row, at.kv_head, slots, slots});
        parts.merge_slots.push_back(slot);
        parts.merges.back().slots_end = slots + 1;
      }
      if (ends_here) {
        at = end;
      } else if (at.kv_head + 1 < num_kv_heads_) {
        at = {at.row, at.kv_head + 1, 0};
      } else {
        do ++at.row;
        while (at.row < static_cast<std::int32_t>(lengths_.size()) && lengths_[static_cast<std::size_t>(at.row)] == 0);
        at = {at.row, 0, 0};
      }
    }
    parts.worker_offsets.push_back(static_cast<std::int32_t>(parts.segments.size()));
  }
  return WorkPlan(std::move(parts));
}

}  // namespace pkv
