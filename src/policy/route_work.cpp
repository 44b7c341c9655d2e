#include "route_work.hpp"

#include "persistentkv/core/error.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <memory_resource>
#include <span>

namespace pkv::detail {

namespace {

// What `stream` gives a worker at least, on a GPU: a tile of 16 tokens for each of 8 warps.
constexpr double kStreamLeastRunTokens = 128;

/// std::ceil of what is not negative: that is a call into libm where a CPU need not have SSE 4.1.
double round_up(double value) noexcept {
  const auto whole = static_cast<double>(static_cast<std::int64_t>(value));
  return whole < value ? whole + 1 : whole;
}

std::int64_t tiles_of(std::int64_t tokens, const PolicyInput& input) {
  return (tokens + input.options.tile_tokens - 1) / input.options.tile_tokens;
}

/// One rectangular grid, or one queue.
struct Grid {
  std::int64_t rows = 0;
  int splits = 1;
  bool merge_launch = true;
  std::int64_t longest_tokens = 0;
  std::int64_t tokens = 0;  // of all rows
};

/// What the longest of a launch's tasks costs those who wait for it.
void add_tail(RouteWork& work, double task_tokens, double tasks, double launch_tokens, double slots) {
  const double share = launch_tokens / slots;
  work.tail_tokens += task_tokens;
  work.idle_tokens += std::max(0.0, task_tokens - share);
  work.wave_tokens += std::max(0.0, task_tokens * round_up(tasks / slots) - share);
}

void add_grid(RouteWork& work, const PolicyInput& input, const Grid& grid, double slots) {
  const AttentionShape& shape = input.step.shape;
  const double row_splits = static_cast<double>(grid.rows) * grid.splits;
  const double tasks = row_splits * shape.num_kv_heads;
  work.ctas += tasks;
  work.states += grid.splits > 1 ? row_splits * shape.num_q_heads : 0.0;
  // The paper's formula takes rows to have as many tiles as splits; fits count what a plan launches.
  const bool merges = grid.splits > 1 && (slots == 0 || tiles_of(grid.longest_tokens, input) > 1);
  work.launches += merges && grid.merge_launch ? 2 : 1;
  work.splits = std::max(work.splits, grid.splits);
  if (slots == 0) return;
  work.depth = std::max(work.depth, grid.splits > 1 ? static_cast<double>(grid.splits) : 0.0);
  const std::int64_t task_tiles = (tiles_of(grid.longest_tokens, input) + grid.splits - 1) / grid.splits;
  add_tail(work, static_cast<double>(task_tiles * input.options.tile_tokens), tasks,
           static_cast<double>(grid.tokens) * shape.num_kv_heads, slots);
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

RouteWork bucket_work(Route route, const PolicyInput& input, int fixed_splits, double slots) {
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
    Grid grid{.rows = end - begin, .longest_tokens = (end - 1)->tokens};
    for (auto row = begin; row != end; ++row) grid.tokens += row->tokens;
    grid.splits = fixed_splits > 0
                      ? fixed_splits
                      : bucket_splits(input.step.shape.num_kv_heads, grid.rows, tiles_of(begin->tokens, input),
                                      tiles_of(grid.longest_tokens, input));
    add_grid(work, input, grid, slots);
    begin = end;
  }
  return work;
}

RouteWork stream_states(double workers, double units, int group_size) {
  // Each cut between two workers halves a (row, KV head): one state more, and one for the part that was there before.
  const double cuts = std::max(workers - 1, 0.0);
  return {.ctas = workers, .states = units > 0 ? (cuts + std::min(cuts, units)) * group_size : 0.0, .splits = 0};
}

RouteWork fitted_stream(int num_sms, const PolicyInput& input, const StepSummary& step) {
  const double workers = input.options.num_workers > 0 ? input.options.num_workers : num_sms;
  const double tokens = static_cast<double>(step.kv_tokens) * input.step.shape.num_kv_heads;
  const double units = static_cast<double>(step.active_rows) * input.step.shape.num_kv_heads;
  // Chained steps whose runs are short have fewer workers (PlanOptions::ahead_tokens): a feature that was left out, and
  // that the fit's other terms stand for.
  const double run = std::max(tokens / workers, std::max(kStreamLeastRunTokens, 1.0 * input.options.min_run_tokens));
  RouteWork work = stream_states(std::min(workers, round_up(tokens / run)), units, input.step.shape.group_size());
  work.ctas += units;  // a run that begins another unit has as much to begin as a task
  work.depth = round_up(static_cast<double>(step.longest_row_tokens) / run);
  add_tail(work, run, workers, tokens, workers);
  return work;
}

/// Chunks that all rows make.
double count_chunks(std::span<const std::int32_t> lengths, double chunk_tokens) {
  const double chunks_per_token = 1 / chunk_tokens;
  std::int64_t chunks = 0;
  for (const std::int32_t tokens : lengths)
    if (tokens > 0) chunks += static_cast<std::int64_t>((tokens - 1) * chunks_per_token) + 1;
  return static_cast<double>(chunks);
}

/// FlashInfer cuts rows into the smallest chunks with which there are no more (row, chunk, KV head) than slots, by
/// bisection; with as many rows and heads as slots it cuts none.
RouteWork fitted_flashinfer(double slots, const PolicyInput& input, const StepSummary& step) {
  constexpr int kBisections = 9;
  const AttentionShape& shape = input.step.shape;
  const auto tokens = static_cast<double>(step.kv_tokens);
  const auto longest = static_cast<double>(step.longest_row_tokens);
  const double row_slots = row_slots_of(slots, shape.num_kv_heads);
  double chunk = longest, chunks = static_cast<double>(step.active_rows);
  if (chunks < row_slots && longest > kFlashInferLeastChunkTokens) {
    double low = std::max(kFlashInferLeastChunkTokens, tokens / row_slots);
    for (int i = 0; i < kBisections && low < chunk; ++i) {
      const double middle = i == 0 ? low : (low + chunk) / 2;  // often no row has a part of a chunk to spare
      const double here = count_chunks(input.step.lengths, middle);
      (here <= row_slots ? chunk : low) = middle;
      if (here <= row_slots) chunks = here;
    }
  }
  RouteWork work{.ctas = chunks * shape.num_kv_heads, .launches = chunk < longest ? 2 : 1};
  if (chunk < longest) {
    work.states = chunks * shape.num_q_heads;
    work.depth = round_up(longest / chunk);
  }
  work.splits = std::max(1, static_cast<int>(work.depth));
  add_tail(work, chunk, work.ctas, tokens * shape.num_kv_heads, slots);
  return work;
}

/// Splits of a row of a workqueue.
int queue_splits(Route route, const PolicyInput& input, const StepSummary& step, std::int64_t tiles) {
  const int heads = input.step.shape.num_kv_heads;
  if (route != Route::kWorkqueueFused) return workqueue_splits(heads, step.active_rows, tiles);
  return workqueue_fused_splits({heads, step.active_rows, step.kv_tokens, input.options.tile_tokens}, tiles);
}

/// Splits of the rows where the whole step is one grid or one queue; of the longest row, for the queue.
int grid_splits(Route route, int fixed, const PolicyInput& input, const StepSummary& step) {
  if (fixed > 0) return fixed;
  const int heads = input.step.shape.num_kv_heads;
  const std::int64_t longest = tiles_of(step.longest_row_tokens, input);
  if (route == Route::kSequenceSplit) return bucket_splits(heads, 1, longest, longest);
  if (route == Route::kPaddedBucket)
    return bucket_splits(heads, step.active_rows, tiles_of(step.shortest_row_tokens, input), longest);
  return queue_splits(route, input, step, longest);  // more tiles never mean fewer: the longest row has the most
}

/// Rows with fewer tiles have fewer splits: the queue's tasks as they are.
void count_queue(RouteWork& work, Route route, int fixed, const PolicyInput& input, const StepSummary& step) {
  double row_splits = 0, states = 0;
  for (const std::int32_t tokens : input.step.lengths) {
    if (tokens <= 0) continue;
    const std::int64_t tiles = tiles_of(tokens, input);
    const std::int64_t wanted = fixed > 0 ? fixed : queue_splits(route, input, step, tiles);
    const auto splits = static_cast<double>(std::min(wanted, tiles));
    row_splits += splits;
    states += splits > 1 ? splits : 0.0;
  }
  work.ctas = row_splits * input.step.shape.num_kv_heads;
  work.states = states * input.step.shape.num_q_heads;
}

RouteWork grid_work(Route route, int fixed, const PolicyInput& input, const StepSummary& step, double slots) {
  RouteWork work{.launches = 0};
  add_grid(work, input,
           {step.active_rows, grid_splits(route, fixed, input, step), route != Route::kWorkqueueFused,
            step.longest_row_tokens, step.kv_tokens},
           slots);
  return work;
}

[[noreturn]] void refuse_policy() { throw InvalidArgument("route is policy, must be a route that runs a step"); }

}  // namespace

RouteWork formula_work(const DeviceProfile& profile, Route route, int splits, const PolicyInput& input,
                       const StepSummary& step) {
  const AttentionShape& shape = input.step.shape;
  switch (route) {
    case Route::kExactBuckets:
    case Route::kCoarseBuckets:
      return bucket_work(route, input, splits, 0);
    case Route::kPaddedBucket:
    case Route::kSequenceSplit:
    case Route::kWorkqueue:
    case Route::kWorkqueueFused:
      return grid_work(route, splits, input, step, 0);
    case Route::kStream:
      return stream_states(input.options.num_workers > 0 ? input.options.num_workers
                                                         : std::ceil(profile.cost.min_ctas_per_sm * profile.num_sms),
                           static_cast<double>(step.active_rows) * shape.num_kv_heads, shape.group_size());
    case Route::kFlashInferCudaCore:
    case Route::kFlashInferTensorCore:
      return {.ctas = static_cast<double>(step.active_rows) * shape.num_kv_heads};
    case Route::kPolicy:
      break;
  }
  refuse_policy();
}

RouteWork fitted_work(int num_sms, double slots, Route route, int splits, const PolicyInput& input,
                      const StepSummary& step) {
  switch (route) {
    case Route::kExactBuckets:
    case Route::kCoarseBuckets:
      return bucket_work(route, input, splits, slots);
    case Route::kPaddedBucket:
    case Route::kSequenceSplit:
      return grid_work(route, splits, input, step, slots);
    case Route::kWorkqueue:
    case Route::kWorkqueueFused: {
      RouteWork work = grid_work(route, splits, input, step, slots);
      count_queue(work, route, splits, input, step);
      return work;
    }
    case Route::kStream:
      return fitted_stream(num_sms, input, step);
    case Route::kFlashInferCudaCore:
    case Route::kFlashInferTensorCore:
      return fitted_flashinfer(slots, input, step);
    case Route::kPolicy:
      break;
  }
  refuse_policy();
}

}  // namespace pkv::detail
