#include "sections.hpp"
#include "trace_steps.hpp"
#include "writing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace pkv::reproduce {

namespace {

constexpr std::array kGroups = {1, 2, 4, 8, 16};

AttentionShape shape_of(int group) {
  AttentionShape shape = kPaperShape;
  shape.num_kv_heads = shape.num_q_heads / group;
  return shape;
}

}  // namespace

std::int64_t gqa_sweep_bytes() {
  std::int64_t bytes = 0;
  for (const int group : kGroups) {
    const AttentionShape shape = shape_of(group);
    const TraceSteps steps(find_paper_run("gqa-sweep"), kHeldOutSeeds.front(), shape);
    bytes = std::max(bytes, steps.num_pages() * page_bytes(shape));
  }
  return bytes;
}

void gqa_sweep(Bench& bench, const Effort& effort, Output& output) {
  const PaperRun& run = find_paper_run("gqa-sweep");
  std::vector<std::vector<TraceTimes>> workloads;
  workloads.reserve(kGroups.size());
  for (const int group : kGroups) {
    TraceTimes trace = measure_trace(bench, {.run = &run,
                                             .seed = kHeldOutSeeds.front(),
                                             .shape = shape_of(group),
                                             .routes = main_routes({run.name, {Route::kWorkqueue, 20}}),
                                             .max_steps = effort.steps(run),
                                             .repeats = effort.repeats});
    trace.workload = fmt::format("{} G={}", run.name, group);
    workloads.push_back({std::move(trace)});
    write_traces("gqa", workloads.back(), output.results);
  }
  output.print(
      fmt::format("GQA sweep, fair: bimodal B8, 8 requests, {} query heads over {} / G KV heads; seed {}\n\n{}\n"
                  "As the paper timed; it ran G = 1, 4 and 8, and left 1 and 8 to FlashInfer\n\n{}",
                  kPaperShape.num_q_heads, kPaperShape.num_q_heads, kHeldOutSeeds.front(), fair_table(workloads),
                  paper_table("gqa", workloads)));
}

}  // namespace pkv::reproduce
