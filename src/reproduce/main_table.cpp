#include "report/table.hpp"
#include "sections.hpp"
#include "trace_steps.hpp"
#include "writing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace pkv::reproduce {

namespace {

constexpr std::array kRows = {
    MainRow{"bucketed-b1", {Route::kSequenceSplit, 32}},      MainRow{"bimodal-b8", {Route::kWorkqueue, 20}},
    MainRow{"uniform-b8", {Route::kWorkqueue, 24}},           MainRow{"zipf-b8", {Route::kWorkqueue, 28}},
    MainRow{"bimodal-b4", {Route::kFlashInferTensorCore, 0}},
};

std::string error_table(std::span<const std::vector<TraceTimes>> workloads) {
  report::Table table({"trace", "route", "max", "mean", "max", "mean"},
                      {"", "", "vs FlashInfer", "vs FlashInfer", "vs FP64", "vs FP64"});
  for (const std::vector<TraceTimes>& traces : workloads) {
    for (std::size_t r = 0; r < traces.front().routes.size(); ++r) {
      if (!traces.front().routes[r].ran()) continue;
      const auto worst = [&](auto of) {
        double value = 0.0;
        for (const TraceTimes& trace : traces) value = std::max(value, of(trace.routes[r]));
        return fmt::format("{:.1e}", value);
      };
      const bool compared = traces.front().routes[r].against_flashinfer.count > 0;
      table.add({traces.front().workload, label(traces.front().routes[r].spec),
                 compared ? worst([](const RouteTimes& t) { return t.against_flashinfer.max; }) : "-",
                 compared ? worst([](const RouteTimes& t) { return t.against_flashinfer.mean(); }) : "-",
                 worst([](const RouteTimes& t) { return t.against_fp64.max; }),
                 worst([](const RouteTimes& t) { return t.against_fp64.mean(); })});
    }
  }
  return table.text();
}

void require_accurate(const TraceTimes& trace, std::vector<std::string>& problems) {
  for (const RouteTimes& route : trace.routes) {
    for (const Errors* errors : {&route.against_flashinfer, &route.against_fp64}) {
      // Written so that NaN fails.
      if (!route.ran() || (errors->max <= kMaxErrorGate && errors->mean() <= kMeanErrorGate)) continue;
      problems.push_back(fmt::format("{} seed {} by {}: errors {:.1e} max and {:.1e} mean, must be at most {} and {}",
                                     trace.workload, trace.seed, label(route.spec), errors->max, errors->mean(),
                                     kMaxErrorGate, kMeanErrorGate));
    }
  }
}

}  // namespace

std::span<const MainRow> main_rows() noexcept { return kRows; }

std::vector<RouteSpec> main_routes(const MainRow& row) {
  std::vector<RouteSpec> routes{row.paper_route};
  for (const RouteSpec& spec : {RouteSpec{Route::kStream, 0}, RouteSpec{Route::kPolicy, 0},
                                RouteSpec{Route::kFlashInferCudaCore, 0}, RouteSpec{Route::kFlashInferTensorCore, 0}})
    if (!(spec == row.paper_route)) routes.push_back(spec);
  return routes;
}

std::int64_t main_table_bytes(const Effort& effort) {
  std::int64_t pages = 0;
  for (const MainRow& row : kRows)
    for (const std::uint32_t seed : effort.seeds)
      pages = std::max(pages, TraceSteps(find_paper_run(row.run), seed, kPaperShape).num_pages());
  return pages * page_bytes(kPaperShape);
}

void main_table(Bench& bench, const Effort& effort, Output& output) {
  std::vector<std::vector<TraceTimes>> workloads;
  workloads.reserve(kRows.size());
  for (const MainRow& row : kRows) {
    const PaperRun& run = find_paper_run(row.run);
    std::vector<TraceTimes>& traces = workloads.emplace_back();
    traces.reserve(effort.seeds.size());
    for (const std::uint32_t seed : effort.seeds) {
      traces.push_back(measure_trace(bench, {.run = &run,
                                             .seed = seed,
                                             .shape = kPaperShape,
                                             .routes = main_routes(row),
                                             .max_steps = effort.steps(run),
                                             .repeats = effort.repeats}));
      require_accurate(traces.back(), output.problems);
    }
    write_traces("main", traces, output.results);
  }
  output.print(fmt::format(
      "Main table, fair: every route plans, uploads and runs in its window; mean over {} seed(s)\n\n{}\n"
      "As the paper timed: its own metadata ready before, FlashInfer's plan and a gather of q inside\n\n{}\n"
      "Errors, worst seed; the paper's gates: {} max, {} mean, its worst 6.1e-5 and 4.5e-6\n\n{}",
      effort.seeds.size(), fair_table(workloads), paper_table("main", workloads), kMaxErrorGate, kMeanErrorGate,
      error_table(workloads)));
}

}  // namespace pkv::reproduce
