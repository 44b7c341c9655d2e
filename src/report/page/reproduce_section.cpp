#include "markup.hpp"
#include "regret_tables.hpp"
#include "reproduce_tables.hpp"
#include "sections.hpp"

#include <fmt/format.h>

#include <optional>
#include <set>
#include <string>

namespace pkv::report {

namespace {

constexpr const char* kSpread =
    "Points are means over the seeds, bars one standard deviation to each side; right of the "
    "dashed line the route takes less time. ";

/// Ratios of one section by one clock over one baseline.
struct RatioPlot {
  const char* section;
  const char* clock;
  const char* base;
  const char* title;
  const char* text;
  bool published;  ///< whether the paper's figures stand beside them
};

constexpr RatioPlot kRatioPlots[] = {
    {"main", "fair_event", "better", "Over the better of FlashInfer's two paths, fair window",
     "Planning and uploads are inside for every route. Time of the FlashInfer path that took less on that seed, over "
     "the "
     "route's.",
     false},
    {"main", "fair_event", "cuda_core", "Over FlashInfer's CUDA-core path, its Python default, fair window",
     "As above, with one path as the baseline.", false},
    {"main", "paper_event", "tensor_core", "Over FlashInfer's tensor-core path, as the paper timed",
     "FlashInfer plans and has q gathered inside its window, the others were prepared before. Crosses are the paper's "
     "own "
     "figures, of another GPU and an older FlashInfer.",
     true},
    {"splits", "fair_event", "better", "Split sensitivity, over the better FlashInfer path, fair window",
     "One seed; routes with the number of splits of a row.", false},
    {"gqa", "fair_event", "better", "Group size, over the better FlashInfer path, fair window",
     "Bimodal, batch 8, by query heads for each KV head.", false},
};

std::string route_of(const ResultsRow& row) {
  const double splits = row.number("splits");
  return splits > 0 ? fmt::format("{} in {}", row.text("route"), splits) : row.text("route");
}

std::optional<ResultsRow> ratio_of(const ResultsRow& summary, const char* clock, const char* base) {
  return summary.object("ratios").object(clock).object_or_none(base);
}

std::optional<double> published_of(const ResultsRow& summary, const char* kind) {
  const auto published = summary.object_or_none("published");
  const auto figures = published ? published->object_or_none(kind) : std::nullopt;
  return figures ? std::optional(figures->positive("mean")) : std::nullopt;
}

std::string ratio_plot(const std::vector<ResultsRow>& summary, const RatioPlot& what) {
  Plot plot{"ratio", what.title, kSpread + std::string(what.text)};
  std::set<std::string> labels;
  std::set<std::string> routes;
  for (const ResultsRow& row : summary) {
    if (row.text("section") != what.section) continue;
    const auto ratio = ratio_of(row, what.clock, what.base);
    if (!ratio) continue;
    const double mean = ratio->positive("mean");
    const double deviation = ratio->number("std");
    nlohmann::json point = {{"label", row.text("workload")},
                            {"route", what.section == std::string("splits") ? route_of(row) : row.text("route")},
                            {"mean", mean},
                            {"std", deviation},
                            {"low", mean - deviation},
                            {"high", mean + deviation},
                            {"note", fmt::format("{:.3f} +- {:.3f}, {} seeds", mean, deviation, row.number("seeds"))}};
    const auto published = what.published ? published_of(row, "event") : std::nullopt;
    if (published) point["published"] = *published;
    labels.insert(point["label"]);
    routes.insert(point["route"]);
    plot.rows.push_back(std::move(point));
  }
  plot.signals = {{"axis", "ratio of times"}, {"labels", labels.size()}, {"routes", routes.size()}};
  return plot.rows.empty() ? "" : html_plot(plot);
}

Cell ratio_cell(const ResultsRow& summary, const char* clock, const char* base) {
  const auto ratio = ratio_of(summary, clock, base);
  if (!ratio) return {"-"};
  Cell cell(ratio->positive("mean"), 3);
  if (const double deviation = ratio->number("std"); deviation > 0.0)
    cell.shown += fmt::format(" \u00b1 {:.3f}", deviation);
  return cell;
}

Cell published_cell(const ResultsRow& summary, const char* kind) {
  const auto value = published_of(summary, kind);
  return value ? Cell(*value, 3) : Cell("-");
}

std::string ratio_table(const std::vector<ResultsRow>& summary) {
  std::vector<std::vector<Cell>> table;
  table.reserve(summary.size());
  for (const ResultsRow& row : summary) {
    table.push_back({row.text("section"), row.text("workload"), route_of(row),
                     ratio_cell(row, "fair_event", "cuda_core"), ratio_cell(row, "fair_event", "tensor_core"),
                     ratio_cell(row, "fair_event", "better"), ratio_cell(row, "fair_wall", "better"),
                     ratio_cell(row, "fair_event", "best_single"), ratio_cell(row, "paper_event", "tensor_core"),
                     published_cell(row, "event"), ratio_cell(row, "paper_wall", "tensor_core"),
                     published_cell(row, "wall")});
  }
  return html_table("Ratios: a baseline's time over the route's, mean and deviation over the seeds",
                    {"section", "workload", "route", "fair event, over CUDA-core", "over tensor-core", "over better",
                     "fair wall, over better", "fair event, of best single route", "as the paper timed, event",
                     "the paper's", "as the paper timed, wall", "the paper's"},
                    table);
}

}  // namespace

std::string reproduce_section(const ResultsFile& file) {
  const ResultsRow root = file.root();
  const std::vector<ResultsRow> summary = root.has("summary") ? root.objects("summary") : std::vector<ResultsRow>();
  std::string html = reproduce_facts(root);
  for (const RatioPlot& plot : kRatioPlots) html += ratio_plot(summary, plot);
  if (!summary.empty()) html += ratio_table(summary);
  if (const auto regret = root.object_or_none("regret")) {
    html += regret_tables(*regret);
    if (regret->has("workloads")) html += regret_by_workload(regret->objects("workloads"));
  }
  return html + reproduce_tables(file);
}

}  // namespace pkv::report
