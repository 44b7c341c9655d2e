#include "published.hpp"
#include "report/table.hpp"
#include "sections.hpp"
#include "trace_steps.hpp"
#include "writing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

namespace pkv::reproduce {

namespace {

constexpr std::array kRoutes = {
    RouteSpec{Route::kSequenceSplit, 32},
    RouteSpec{Route::kStream, 0},
    RouteSpec{Route::kFlashInferCudaCore, 0},
    RouteSpec{Route::kFlashInferTensorCore, 0},
};

/// Of `pages` pages in twice as many: page i stands at (405 i + 17) mod 2 pages, the paper's way of making holes.
std::vector<std::int32_t> table_with_holes(std::int64_t pages) {
  std::vector<std::int32_t> table(static_cast<std::size_t>(pages));
  for (std::int64_t i = 0; i < pages; ++i)
    table[static_cast<std::size_t>(i)] = static_cast<std::int32_t>((405 * i + 17) % (2 * pages));
  return table;
}

}  // namespace

std::int64_t isolated_bytes() {
  std::int64_t bytes = 0;
  for (const PublishedIsolated& p : published_isolated())
    bytes = std::max(bytes, std::int64_t{2} * p.tokens / kPageSize * page_bytes(kPaperShape));
  return bytes;
}

void isolated(Bench& bench, const Effort& effort, Output& output) {
  report::Table table({"tokens", "route", "layer", "over tensor-core", "limit", "paper: PersistentKV", "FlashInfer",
                       "vLLM", "TensorRT-LLM", "repack + SDPA"},
                      {"", "", "us", "", "us", "us", "us", "us", "us", "us"});
  for (const PublishedIsolated& p : published_isolated()) {
    const std::int64_t pages = p.tokens / kPageSize;
    const std::vector<std::int32_t> page_table = table_with_holes(pages);
    const std::int32_t q_row = 0;
    BenchStep step;
    step.step.shape = kPaperShape;
    step.step.page_size = kPageSize;
    step.step.num_pages = 2 * pages;
    step.step.batch = 1;
    step.step.lengths.values = IndexView::host(&p.tokens, 1);
    step.step.table = PageTableView::dense(page_table.data(), 1, pages);
    step.q_row = {&q_row, 1};
    step.num_q_rows = 1;
    bench.begin_step(step);
    const double limit_us = bench.limit_us();

    std::map<Route, WindowTimes> times;
    for (const RouteSpec& spec : kRoutes) {
      if (!bench.why_not(spec.route, kPaperShape, kPageSize).empty()) continue;
      (void)bench.time(spec, kLayerAlone, 2);
      times[spec.route] = {.event_us = bench.time(spec, kLayerAlone, 4 * effort.repeats).event_us,
                           .plan_us = bench.time(spec, kFair, effort.repeats).plan_us};
    }
    const auto reference = times.find(Route::kFlashInferTensorCore);
    for (const RouteSpec& spec : kRoutes) {
      if (!times.contains(spec.route)) continue;
      const double us = times[spec.route].event_us;
      const bool compared = reference != times.end();
      nlohmann::ordered_json row = row_of("isolated", fmt::format("isolated-{}", p.tokens), kPaperShape, spec);
      row["batch"] = 1;
      row["kv_bytes"] = step.step.useful_kv_bytes();
      row["time_us"] = us;
      row["plan_us"] = times[spec.route].plan_us;
      row["limit_us"] = limit_us;
      row["over_tensor_core"] = compared ? nlohmann::ordered_json(reference->second.event_us / us) : nullptr;
      output.results["rows"].push_back(std::move(row));
      const bool first = spec == kRoutes.front();
      const auto paper = [&](double value) { return first ? cell(value, 1) : std::string(); };
      table.add({fmt::to_string(p.tokens), label(spec), cell(us, 1),
                 compared ? cell(reference->second.event_us / us, 3) : "-", cell(limit_us, 1), paper(p.persistentkv_us),
                 paper(p.flashinfer_us), paper(p.vllm_us), paper(p.tensorrt_llm_us), paper(p.repack_sdpa_us)});
    }
  }
  output.print(fmt::format(
      "Isolated, on native pages: one row, half of the pages holes; a layer alone from cold L2, planning apart\n\n{}",
      table.text()));
}

}  // namespace pkv::reproduce
