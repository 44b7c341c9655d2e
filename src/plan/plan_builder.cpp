#include "plan_builder.hpp"

#include "persistentkv/core/error.hpp"
#include "validate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace pkv::detail {

namespace {

constexpr std::int64_t kMaxTasks = std::int64_t{1} << 30;

void require_in_range(std::string_view name, std::int64_t value, std::int64_t low, std::int64_t high) {
  if (value < low || value > high)
    throw InvalidArgument(fmt::format("{} is {}, must be in [{}, {}]", name, value, low, high));
}

}  // namespace

void validate(const PlanInput& input, const PlanOptions& options) {
  input.shape.validate();
  validate_tile_tokens(options.tile_tokens);
  validate_lengths(input.lengths);
  require_in_range("splits", options.splits, 0, 1 << 16);
  require_in_range("bucket_tokens", options.bucket_tokens, 1, 1 << 30);
  const auto batch = static_cast<std::int64_t>(input.lengths.size());
  if (!input.capacity_tokens.empty() && input.capacity_tokens.size() != input.lengths.size()) {
    throw InvalidArgument(fmt::format("capacity_tokens has {} entries, must have batch = {} or none",
                                      input.capacity_tokens.size(), batch));
  }
  for (std::size_t row = 0; row < input.capacity_tokens.size(); ++row) {
    if (input.capacity_tokens[row] < input.lengths[row])
      throw InvalidArgument(fmt::format("capacity_tokens[{}] is {}, must be >= its length, {}", row,
                                        input.capacity_tokens[row], input.lengths[row]));
  }
  // A row's splits never exceed its tiles or 2^16, but idle CTAs of a rectangular grid count as well.
  const std::int64_t most_splits = std::max(options.splits, 48);
  if (batch * input.shape.num_kv_heads > kMaxTasks / most_splits) {
    throw InvalidArgument(fmt::format("batch {} * num_kv_heads {} * splits {} exceeds 2^30 tasks", batch,
                                      input.shape.num_kv_heads, most_splits));
  }
}

PlanBuilder::PlanBuilder(Schedule schedule, const PlanInput& input, const PlanOptions& options) {
  parts_.name = to_string(schedule);
  parts_.num_q_heads = input.shape.num_q_heads;
  parts_.num_kv_heads = input.shape.num_kv_heads;
  parts_.head_dim = input.shape.head_dim;
  parts_.tile_tokens = options.tile_tokens;
  parts_.lengths.reserve(input.lengths.size());
  for (const std::int32_t length : input.lengths) parts_.lengths.push_back(std::max(length, 0));
  parts_.worker_offsets.push_back(0);
  row_slots_.resize(input.lengths.size());
}

std::int32_t PlanBuilder::effective(std::size_t row, std::int32_t splits) const { return std::min(splits, tiles(row)); }

void PlanBuilder::begin_row(std::size_t row, std::int32_t splits) {
  const std::int32_t parts = effective(row, splits);
  row_slots_[row] = slots_;
  if (parts <= 1) return;  // a whole row writes its output itself
  for (std::int32_t h = 0; h < parts_.num_kv_heads; ++h) {
    const auto begin = static_cast<std::int32_t>(parts_.merge_slots.size());
    for (std::int32_t s = 0; s < parts; ++s) parts_.merge_slots.push_back((slots_ + s) * parts_.num_kv_heads + h);
    parts_.merges.push_back({static_cast<std::int32_t>(row), h, begin, begin + parts});
  }
  slots_ += parts;
}

void PlanBuilder::add_split(std::size_t row, std::int32_t kv_head, std::int32_t s, std::int32_t splits) {
  const std::int32_t parts = effective(row, splits);
  if (s < parts) {
    const std::int32_t slot = parts > 1 ? (row_slots_[row] + s) * parts_.num_kv_heads + kv_head : Segment::kNoSlot;
    parts_.segments.push_back({static_cast<std::int32_t>(row), kv_head, arith::split_begin(tiles(row), s, parts),
                               arith::split_begin(tiles(row), s + 1, parts), slot});
  }
  parts_.worker_offsets.push_back(static_cast<std::int32_t>(parts_.segments.size()));
}

void PlanBuilder::launch_workers(Launch::Kind kind) {
  const auto workers = static_cast<std::int32_t>(parts_.worker_offsets.size()) - 1;
  parts_.launches.push_back({kind, workers_launched_, workers});
  workers_launched_ = workers;
}

void PlanBuilder::launch_merges() {
  const auto merges = static_cast<std::int32_t>(parts_.merges.size());
  if (merges == merges_launched_) return;
  parts_.launches.push_back({Launch::Kind::kMerge, merges_launched_, merges});
  merges_launched_ = merges;
}

WorkPlan PlanBuilder::build() && {
  parts_.num_slots = slots_ * parts_.num_kv_heads;
  return WorkPlan(std::move(parts_));
}

}  // namespace pkv::detail
