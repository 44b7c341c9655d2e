#include "options.hpp"

#include "persistentkv/core/error.hpp"
#include "persistentkv/trace/paper_runs.hpp"
#include "persistentkv/trace/step_sequence.hpp"

#include <fmt/format.h>

#include <charconv>

namespace pkv::cli {

namespace {

const PaperRun& paper_run(TraceFamily family) {
  for (const PaperRun& run : paper_runs())
    if (run.family == family) return run;
  throw InvalidArgument(fmt::format("family is '{}', which the paper does not run", to_string(family)));
}

int parse_splits(std::string_view text, std::string_view whole) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    throw InvalidArgument(fmt::format("splits is '{}', must be N or SCHEDULE=N", whole));
  return value;
}

/// The splits that the paper fixed for its timed rows; 0 where a schedule's own rule holds.
int paper_splits(Schedule schedule, TraceFamily family) {
  if (family == TraceFamily::kBucketed && schedule == Schedule::kSequenceSplit) return 32;
  if (schedule != Schedule::kWorkqueue && schedule != Schedule::kWorkqueueFused) return 0;
  switch (family) {
    case TraceFamily::kBimodal:
      return 20;
    case TraceFamily::kUniform:
    case TraceFamily::kBucketed:
      return 24;
    case TraceFamily::kZipf:
      return 28;
    case TraceFamily::kHomogeneous:
      break;
  }
  return 0;
}

}  // namespace

void ShapeOptions::add_to(CLI::App& command) {
  command.add_option("--num-q-heads", shape.num_q_heads, "Query heads")->capture_default_str();
  command.add_option("--num-kv-heads", shape.num_kv_heads, "KV heads; query heads must be a multiple")
      ->capture_default_str();
  command.add_option("--head-dim", shape.head_dim, "Elements of a head; the CPU takes multiples of 16")
      ->capture_default_str();
  command.add_option("--dtype", dtype, "Of q, K, V and the output: fp16, bf16 or fp32")->capture_default_str();
  command.add_option("--page-size", page_size, "Tokens of a page")->capture_default_str();
}

void FamilyChoice::add_to(CLI::App& command) {
  command.add_option("--family", family, "Synthetic trace: uniform, bimodal, zipf, bucketed or homogeneous")
      ->capture_default_str();
  command.add_option("--seed", seed, "Of the family's random numbers, its pages and the data")->capture_default_str();
  command.add_option("--max-active", max_active, "Rows of a step at most (default: the paper's; 8 for a trace file)");
  command.add_option(
      "--requests", num_requests,
      "Requests of the family (default: the paper's); with replay --serve also the first so many of a trace");
}

FamilyOptions FamilyChoice::resolve() const {
  FamilyOptions options = paper_run(parse_trace_family(family)).options(seed);
  if (max_active != 0) options.max_active = max_active;
  if (num_requests != 0) options.num_requests = num_requests;
  options.validate();
  return options;
}

std::int64_t FamilyChoice::paper_steps() const { return paper_run(parse_trace_family(family)).num_steps; }

void CutOptions::add_to(CLI::App& command) {
  command
      .add_option("--splits", splits,
                  "Splits of a row, for all schedules (N) or one of them (SCHEDULE=N); 0 is the schedule's own rule\n"
                  "(default: what the paper fixed for the family)")
      ->delimiter(',');
  tile = command.add_option("--tile-tokens", plan.tile_tokens, "Tokens of the smallest piece of a row")
             ->capture_default_str();
  command.add_option("--bucket-tokens", plan.bucket_tokens, "coarse-buckets rounds lengths up to a multiple of it")
      ->capture_default_str();
  command.add_option("--workers", plan.num_workers,
                     "CTAs or threads that stream cuts a step for (default: the backend's)");
  command.add_option("--min-run-tokens", plan.min_run_tokens,
                     "The least that stream gives a worker (default: a tile; on a GPU the backend's)");
  command
      .add_option(
          "--ahead-tokens", plan.ahead_tokens,
          "Tokens that a worker of stream has on their way before the kernel ahead has ended: of runs up to that,\n"
          "a third of the workers is left to the next kernel (0, chained on a GPU: what its rings hold)")
      ->capture_default_str();
  command.add_option("--segment-cost-tokens", plan.segment_cost_tokens, "What beginning a segment costs stream")
      ->capture_default_str();
  command
      .add_option("--uncut-tokens", plan.uncut_tokens,
                  "stream does not cut a KV head of a row of at most so many tokens")
      ->capture_default_str();
  command
      .add_option(
          "--whole-unit-tokens", plan.whole_unit_tokens,
          "Tokens that it is worth to a worker of stream to have no parts of two KV heads, where rows are alike")
      ->capture_default_str();
}

PlanOptions CutOptions::resolve(Schedule schedule, const std::optional<TraceFamily>& family) const {
  PlanOptions options = plan;
  if (family) options.splits = paper_splits(schedule, *family);
  for (const std::string& text : splits) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos)
      options.splits = parse_splits(text, text);
    else if (parse_schedule(std::string_view(text).substr(0, equals)) == schedule)
      options.splits = parse_splits(std::string_view(text).substr(equals + 1), text);
  }
  return options;
}

void StepChoice::add_to(CLI::App& command) {
  command.add_option("--lengths", lengths, "Tokens of each row, e.g. 40045,7017,3738 (instead of a family's step)")
      ->delimiter(',');
  command.add_option("--step", step, "Which step of the family, from 0")->capture_default_str();
  family.add_to(command);
}

std::vector<std::int32_t> StepChoice::resolve() const {
  if (!lengths.empty()) return lengths;
  if (step < 0) throw InvalidArgument(fmt::format("step is {}, must be >= 0", step));
  const FamilyOptions options = family.resolve();
  const std::vector<Request> requests = generate_requests(options);
  StepSequence sequence(requests, options.max_active);
  StepRows rows;
  for (std::int64_t s = 0; s <= step; ++s)
    if (!sequence.next(rows))
      throw InvalidArgument(fmt::format("step is {}, must be below {}: the family ends", step, s));
  std::vector<std::int32_t> result;
  for (const StepRow& row : rows.rows) result.push_back(static_cast<std::int32_t>(row.length_tokens));
  return result;
}

}  // namespace pkv::cli
