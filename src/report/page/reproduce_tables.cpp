#include "reproduce_tables.hpp"

#include "markup.hpp"

#include <fmt/format.h>

namespace pkv::report {

namespace {

std::string route_of(const ResultsRow& row) {
  const double splits = row.number("splits");
  return splits > 0 ? fmt::format("{} in {}", row.text("route"), splits) : row.text("route");
}

Cell or_dash(const std::optional<double>& value, int decimals) { return value ? Cell(*value, decimals) : Cell("-"); }

std::vector<ResultsRow> rows_of(const ResultsFile& file, const char* section) {
  std::vector<ResultsRow> found;
  for (ResultsRow& row : file.rows())
    if (row.text("section") == section) found.push_back(std::move(row));
  return found;
}

/// Worst absolute error, or a dash.
Cell error_cell(const ResultsRow& row, const char* member) {
  const auto errors = row.object_or_none(member);
  if (!errors) return {"-"};
  Cell cell(errors->number("max"), 6);
  cell.shown = fmt::format("{:.1e}", errors->number("max"));
  return cell;
}

std::string times_table(const ResultsFile& file) {
  std::vector<std::vector<Cell>> table;
  for (const char* section : {"main", "splits", "gqa"}) {
    for (const ResultsRow& row : rows_of(file, section)) {
      table.push_back({std::string(section),
                       row.text("workload"),
                       {row.number("seed"), 0},
                       route_of(row),
                       {row.positive("fair_event_us"), 1},
                       {row.positive("fair_wall_us"), 1},
                       {row.positive("paper_event_us"), 1},
                       {row.positive("paper_wall_us"), 1},
                       or_dash(row.number_or_none("plan_us"), 1),
                       or_dash(row.number_or_none("limit_us"), 1),
                       error_cell(row, "error_vs_flashinfer"),
                       error_cell(row, "error_vs_fp64")});
    }
  }
  if (table.empty()) return "";
  return html_table(
      "Times of a step, means over a trace",
      {"section", "workload", "seed", "route", "fair event, us", "fair wall, us", "as the paper: event, us", "wall, us",
       "plan, us", "limit, us", "worst error against FlashInfer", "against FP64"},
      table);
}

std::string isolated_tables(const ResultsFile& file) {
  Plot plot{"bars", "One row alone, half of its pages holes",
            "Time of a layer; the upright mark is the fastest reader of the same pages, the limit. Shorter is better."};
  plot.signals = {{"axis", "us"}};
  std::vector<std::vector<Cell>> table;
  for (const ResultsRow& row : rows_of(file, "isolated")) {
    const double time = row.positive("time_us");
    const double limit = row.positive("limit_us");
    const auto ratio = row.number_or_none("over_tensor_core");
    plot.rows.push_back({{"label", row.text("workload") + ", " + route_of(row)},
                         {"value", time},
                         {"limit", limit},
                         {"note", fmt::format("{:.1f}, {:.2f} of limit", time, time / limit)}});
    table.push_back({row.text("workload"), route_of(row), {time, 2}, {limit, 2}, {time / limit, 3}, or_dash(ratio, 3)});
  }
  if (table.empty()) return "";
  return html_plot(plot) + html_table("One row alone",
                                      {"workload", "route", "layer, us", "limit, us", "time / limit",
                                       "over FlashInfer's tensor-core path"},
                                      table);
}

std::string ablation_table(const ResultsFile& file) {
  std::vector<std::vector<Cell>> table;
  for (const ResultsRow& row : rows_of(file, "ablations")) {
    table.push_back({row.text("question"),
                     row.text("variant"),
                     row.text("workload"),
                     route_of(row),
                     {row.positive("time_us"), 2},
                     or_dash(row.number_or_none("limit_us"), 2)});
  }
  if (table.empty()) return "";
  return html_table("Ablations: one thing changed at a time",
                    {"question", "variant", "workload", "route", "time, us", "limit, us"}, table);
}

std::string mlp_table(const ResultsFile& file) {
  Plot plot{
      "bars", "Attention's share of a layer",
      "Attention and the MLP of a Llama-3.1-8B layer in turn, on one stream: how much of a layer's time attention "
      "takes. Norms and projections are not there."};
  plot.signals = {{"axis", "attention's share of attention and MLP, %"}};
  std::vector<std::vector<Cell>> table;
  for (const ResultsRow& row : rows_of(file, "mlp")) {
    const double share = 100.0 * row.number("attention_share");
    const double layer = row.positive("layer_us");
    plot.rows.push_back({{"label", row.text("workload") + ", " + route_of(row)},
                         {"value", share},
                         {"note", fmt::format("{:.0f}% of {:.0f} us", share, layer)}});
    table.push_back({row.text("workload"),
                     route_of(row),
                     {layer, 1},
                     {row.positive("mlp_us"), 1},
                     {row.number("time_us"), 1},
                     {share, 1},
                     or_dash(row.number_or_none("layer_over_tensor_core"), 3)});
  }
  if (table.empty()) return "";
  return html_plot(plot) + html_table("Attention beside the MLP",
                                      {"workload", "route", "layer, us", "MLP, us", "attention, us", "share, %",
                                       "layer over that with FlashInfer's tensor-core path"},
                                      table);
}

std::string counter_table(const ResultsRow& root) {
  std::vector<std::vector<Cell>> table;
  if (!root.has("counters")) return "";
  for (const ResultsRow& row : root.objects("counters")) {
    table.push_back({row.text("workload"),
                     {row.number("seed"), 0},
                     route_of(row),
                     {row.number("physical_pages"), 0},
                     {row.number("mean_active_rows"), 2},
                     {row.number("kv_mib"), 1},
                     {row.number("launches"), 2},
                     {row.number("merge_launches"), 2},
                     {row.number("decode_ctas_per_paper_sm"), 1},
                     {row.number("merge_mib"), 2},
                     std::string(row.flag("as_published") ? "yes" : "no")});
  }
  if (table.empty()) return "";
  return html_table("Structural counters, means over a trace",
                    {"workload", "seed", "route", "pages", "active rows", "KV, MiB", "launches", "merge launches",
                     "CTAs / 28 SMs", "merge, MiB", "as published"},
                    table);
}

}  // namespace

std::string reproduce_facts(const ResultsRow& root) {
  std::string html;
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) html += fmt::format("<dt>{}</dt><dd>{}</dd>\n", name, escaped(value));
  };
  const auto joined = [&](const char* member) {
    std::string text;
    if (!root.has(member) || !root.json()[member].is_array()) return text;
    for (const nlohmann::json& item : root.json()[member])
      text += (text.empty() ? "" : "; ") + (item.is_string() ? item.get<std::string>() : item.dump());
    return text;
  };
  if (root.has("published_setup")) {
    const nlohmann::json& setup = root.json()["published_setup"];
    add("the paper's setup", setup.is_string() ? setup.get<std::string>() : joined("published_setup"));
  }
  if (root.has("profile") && root.json()["profile"].is_string()) add("profile", root.text("profile"));
  add("seeds", joined("seeds"));
  add("left out", joined("skipped"));
  add("not as it must be", joined("problems"));
  return html.empty() ? "" : "<dl>\n" + html + "</dl>\n";
}

std::string reproduce_tables(const ResultsFile& file) {
  return isolated_tables(file) + mlp_table(file) + ablation_table(file) + times_table(file) +
         counter_table(file.root());
}

}  // namespace pkv::report
