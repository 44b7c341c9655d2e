// Exact, coarse and padded buckets and the sequence split: one rectangular (rows, Hkv, splits) grid a bucket, with
// row-local bounds inside.

#include "persistentkv/core/step.hpp"
#include "plan_builder.hpp"

#include <algorithm>
#include <unordered_map>

namespace pkv::detail {

namespace {

struct Bucket {
  std::vector<std::size_t> rows;
  std::int64_t min_tiles = 0;
  std::int64_t max_tiles = 0;
};

/// `bound`, as far as the row has pages, where that is known.
std::int64_t within_pages(const PlanInput& input, std::size_t row, std::int64_t bound) {
  const std::int64_t most = input.capacity_tokens.empty() ? kMaxRowTokens : input.capacity_tokens[row];
  return std::min(bound, most);
}

/// What rows of one bucket have in common.
std::int64_t bucket_key(Schedule schedule, const PlanInput& input, const PlanOptions& options, std::size_t row) {
  const std::int64_t length = input.lengths[row];
  if (schedule == Schedule::kExactBuckets) return length;
  if (schedule != Schedule::kCoarseBuckets) return 0;
  return within_pages(input, row, arith::round_up(length, options.bucket_tokens));
}

/// What each row's place in its bucket's grid takes of the cache; empty where buckets are as wide as their rows.
std::vector<std::int32_t> reserve(Schedule schedule, const PlanInput& input, const PlanOptions& options) {
  if (schedule != Schedule::kCoarseBuckets && schedule != Schedule::kPaddedBucket) return {};
  std::vector<std::int32_t> reserved(input.lengths.size());
  const std::int64_t longest =
      input.lengths.empty() ? 0 : *std::max_element(input.lengths.begin(), input.lengths.end());
  for (std::size_t row = 0; row < reserved.size(); ++row) {
    if (input.lengths[row] <= 0) continue;
    reserved[row] =
        static_cast<std::int32_t>(schedule == Schedule::kPaddedBucket ? within_pages(input, row, longest)
                                                                      : bucket_key(schedule, input, options, row));
  }
  return reserved;
}

/// Buckets of the non-empty rows, in the order of their first rows.
std::vector<Bucket> group_rows(Schedule schedule, const PlanInput& input, const PlanOptions& options) {
  std::vector<Bucket> buckets;
  std::unordered_map<std::int64_t, std::size_t> index;
  for (std::size_t row = 0; row < input.lengths.size(); ++row) {
    if (input.lengths[row] <= 0) continue;
    const auto [at, is_new] = index.try_emplace(bucket_key(schedule, input, options, row), buckets.size());
    if (is_new) buckets.emplace_back();
    Bucket& bucket = buckets[at->second];
    const std::int64_t tiles = arith::num_tiles(input.lengths[row], options.tile_tokens);
    bucket.min_tiles = is_new ? tiles : std::min(bucket.min_tiles, tiles);
    bucket.max_tiles = std::max(bucket.max_tiles, tiles);
    bucket.rows.push_back(row);
  }
  return buckets;
}

std::int32_t splits_of(Schedule schedule, const Bucket& bucket, int num_kv_heads, const PlanOptions& options) {
  if (options.splits > 0) return options.splits;
  if (schedule == Schedule::kSequenceSplit)  // as if the longest row were alone
    return bucket_splits(num_kv_heads, 1, bucket.max_tiles, bucket.max_tiles);
  return bucket_splits(num_kv_heads, static_cast<std::int64_t>(bucket.rows.size()), bucket.min_tiles, bucket.max_tiles);
}

}  // namespace

WorkPlan plan_buckets(Schedule schedule, const PlanInput& input, const PlanOptions& options) {
  PlanBuilder builder(schedule, input, options);
  const std::vector<Bucket> buckets = group_rows(schedule, input, options);
  for (const Bucket& bucket : buckets) {
    const std::int32_t splits = splits_of(schedule, bucket, builder.num_kv_heads(), options);
    for (const std::size_t row : bucket.rows) {
      builder.begin_row(row, splits);
      for (std::int32_t h = 0; h < builder.num_kv_heads(); ++h)
        for (std::int32_t s = 0; s < splits; ++s) builder.add_split(row, h, s, splits);
    }
    builder.launch_workers(Launch::Kind::kDecode);
    builder.launch_merges();
  }
  if (buckets.empty()) builder.launch_workers(Launch::Kind::kDecode);  // somebody must write the empty rows
  builder.set_groups(static_cast<std::int32_t>(buckets.size()));
  builder.set_reserved(reserve(schedule, input, options));
  return std::move(builder).build();
}

}  // namespace pkv::detail
