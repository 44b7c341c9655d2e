#include "persistentkv/policy/cost_model.hpp"

#include "persistentkv/core/error.hpp"
#include "persistentkv/core/step.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <memory_resource>

namespace pkv {

namespace {

constexpr double kMib = 1024.0 * 1024.0;

/// What the formula needs to know of a route.
struct RouteWork {
  double ctas = 0;    // decode CTAs, all launches
  double states = 0;  // (row, split, query head) states to be merged
  int launches = 1;
  int splits = 1;  // the largest row's
};

double us_of_mib(const CostConstants& cost, double mib) {
  const double ms_per_mib_at_1_gb_per_s = cost.time_units == TimeUnits::kPaper ? 1.0 : kMib / 1e6;
  return mib / cost.bandwidth_gb_per_s * ms_per_mib_at_1_gb_per_s * 1000.0;
}

std::int64_t tiles_of(std::int64_t tokens, const PolicyInput& input) {
  return (tokens + input.options.tile_tokens - 1) / input.options.tile_tokens;
}

/// One rectangular grid, or one queue: `rows` rows of `splits` splits, and a launch that merges where `merge_launch`.
void add_grid(RouteWork& work, const AttentionShape& shape, std::int64_t rows, int splits, bool merge_launch) {
  const double row_splits = static_cast<double>(rows) * splits;
  work.ctas += row_splits * shape.num_kv_heads;
  work.states += splits > 1 ? row_splits * shape.num_q_heads : 0.0;
  work.launches += splits > 1 && merge_launch ? 2 : 1;
  work.splits = std::max(work.splits, splits);
}

/// What rows of one bucket have in common, as the planner has it.
std::int64_t bucket_key(Route route, const PolicyInput& input, std::size_t row) {
  const std::int64_t tokens = input.step.lengths[row];
  if (route == Route::kExactBuckets) return tokens;
  const std::int64_t bucket = input.options.bucket_tokens;
  const std::int64_t rounded = (tokens + bucket - 1) / bucket * bucket;
  const auto capacity = input.step.capacity_tokens;
  return capacity.empty() ? rounded : std::min<std::int64_t>(rounded, capacity[row]);
}

RouteWork bucket_work(Route route, const PolicyInput& input, int fixed_splits) {
  struct Row {
    std::int64_t key;
    std::int32_t tokens;
  };
  // Steps of serving size are sorted on the stack: the router may ask on every one.
  std::array<std::byte, 512 * sizeof(Row) + 64> stack;
  std::pmr::monotonic_buffer_resource memory(stack.data(), stack.size());
  std::pmr::vector<Row> rows(&memory);
  rows.reserve(input.step.lengths.size());
  for (std::size_t row = 0; row < input.step.lengths.size(); ++row)
    if (input.step.lengths[row] > 0) rows.push_back({bucket_key(route, input, row), input.step.lengths[row]});
  std::sort(rows.begin(), rows.end(),
            [](const Row& a, const Row& b) { return a.key != b.key ? a.key < b.key : a.tokens < b.tokens; });

  RouteWork work{.launches = 0};
  for (auto begin = rows.begin(); begin != rows.end();) {
    const auto end = std::find_if(begin, rows.end(), [&](const Row& row) { return row.key != begin->key; });
    const std::int64_t count = end - begin;
    const int splits = fixed_splits > 0
                           ? fixed_splits
                           : bucket_splits(input.step.shape.num_kv_heads, count, tiles_of(begin->tokens, input),
                                           tiles_of((end - 1)->tokens, input));
    add_grid(work, input.step.shape, count, splits, true);
    begin = end;
  }
  return work;
}

RouteWork stream_work(const DeviceProfile& profile, const PolicyInput& input, const StepSummary& step) {
  const double workers = input.options.num_workers > 0 ? input.options.num_workers
                                                       : std::ceil(profile.cost.min_ctas_per_sm * profile.num_sms);
  // Each cut between two workers halves a (row, KV head): one state more, and one for the part that was there before.
  const double cuts = std::max(workers - 1, 0.0);
  const double units = static_cast<double>(step.active_rows) * input.step.shape.num_kv_heads;
  const double states = (cuts + std::min(cuts, units)) * input.step.shape.group_size();
  return {workers, units > 0 ? states : 0.0, 1, 0};
}

RouteWork work_of(const DeviceProfile& profile, Route route, const PolicyInput& input, const StepSummary& step) {
  const AttentionShape& shape = input.step.shape;
  const std::int64_t longest = tiles_of(step.longest_row_tokens, input);
  const std::int64_t shortest = tiles_of(step.shortest_row_tokens, input);
  const RouteCandidate* candidate = profile.candidate(route);
  const int fixed = input.options.splits > 0 ? input.options.splits : candidate != nullptr ? candidate->splits : 0;

  RouteWork work{.launches = 0};
  switch (route) {
    case Route::kExactBuckets:
    case Route::kCoarseBuckets:
      return bucket_work(route, input, fixed);
    case Route::kPaddedBucket:
      add_grid(work, shape, step.active_rows,
               fixed > 0 ? fixed : bucket_splits(shape.num_kv_heads, step.active_rows, shortest, longest), true);
      return work;
    case Route::kSequenceSplit:
      add_grid(work, shape, step.active_rows,
               fixed > 0 ? fixed : bucket_splits(shape.num_kv_heads, 1, longest, longest), true);
      return work;
    case Route::kWorkqueue:
    case Route::kWorkqueueFused:
      // More tiles never mean fewer splits: the longest row has the most.
      add_grid(work, shape, step.active_rows,
               fixed > 0 ? fixed : workqueue_splits(shape.num_kv_heads, step.active_rows, longest),
               route == Route::kWorkqueue);
      return work;
    case Route::kStream:
      return stream_work(profile, input, step);
    case Route::kFlashInferCudaCore:
    case Route::kFlashInferTensorCore:
      return {static_cast<double>(step.active_rows) * shape.num_kv_heads, 0, 1, 1};
    case Route::kPolicy:
      break;
  }
  throw InvalidArgument("route is policy, must be a route that runs a step");
}

void require_in_range(std::string_view name, std::int64_t value, std::int64_t low, std::int64_t high) {
  if (value < low || value > high)
    throw InvalidArgument(fmt::format("{} is {}, must be in [{}, {}]", name, value, low, high));
}

}  // namespace

std::int64_t StepSummary::value(StepQuantity quantity) const noexcept {
  switch (quantity) {
    case StepQuantity::kActiveRows:
      return active_rows;
    case StepQuantity::kLongestRowTokens:
      return longest_row_tokens;
    case StepQuantity::kKvTokens:
      break;
  }
  return kv_tokens;
}

StepSummary summarize(const PolicyInput& input) {
  const AttentionShape& shape = input.step.shape;
  const auto lengths = input.step.lengths;
  shape.validate();
  require_in_range("batch", static_cast<std::int64_t>(lengths.size()), 0, kMaxBatch);
  if (!input.step.capacity_tokens.empty() && input.step.capacity_tokens.size() != lengths.size()) {
    throw InvalidArgument(fmt::format("capacity_tokens has {} entries, must have batch = {} or none",
                                      input.step.capacity_tokens.size(), lengths.size()));
  }
  StepSummary step;
  for (std::size_t row = 0; row < lengths.size(); ++row) {
    const std::int64_t tokens = lengths[row];
    if (tokens <= 0) continue;
    if (tokens > kMaxRowTokens)
      throw InvalidArgument(fmt::format("lengths[{}] is {}, must be at most {} tokens", row, tokens, kMaxRowTokens));
    step.shortest_row_tokens = step.active_rows == 0 ? tokens : std::min(step.shortest_row_tokens, tokens);
    step.longest_row_tokens = std::max(step.longest_row_tokens, tokens);
    step.kv_tokens += tokens;
    ++step.active_rows;
  }
  step.kv_mib =
      static_cast<double>(step.kv_tokens) * shape.num_kv_heads * shape.head_dim * 2 * size_bytes(input.dtype) / kMib;
  return step;
}

CostEstimate estimate_cost(const DeviceProfile& profile, Route route, const PolicyInput& input,
                           const StepSummary& step) {
  require_in_range("tile_tokens", input.options.tile_tokens, 1, kMaxRowTokens);
  require_in_range("bucket_tokens", input.options.bucket_tokens, 1, kMaxRowTokens);
  require_in_range("splits", input.options.splits, 0, 1 << 16);
  require_in_range("num_workers", input.options.num_workers, 0, kMaxRowTokens);
  const CostConstants& cost = profile.cost;
  const RouteWork work = work_of(profile, route, input, step);

  CostEstimate estimate;
  estimate.ctas_per_sm = work.ctas / profile.num_sms;
  estimate.launches = work.launches;
  estimate.splits = work.splits;
  estimate.merge_mib = work.states * (2 + input.step.shape.head_dim) * 4 / kMib;
  estimate.kv_us = us_of_mib(cost, step.kv_mib);
  if (work.ctas > 0) estimate.underfill = std::max(1.0, cost.min_ctas_per_sm / estimate.ctas_per_sm);
  estimate.launch_us = work.launches * cost.launch_us;
  estimate.merge_us = us_of_mib(cost, estimate.merge_mib);
  estimate.total_us = estimate.kv_us * estimate.underfill + estimate.launch_us + estimate.merge_us;
  return estimate;
}

}  // namespace pkv
