#include "markup.hpp"
#include "regret_tables.hpp"
#include "sections.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pkv::report {

namespace {

constexpr std::size_t kMostBars = 12;

double percent_over(double ratio) { return 100.0 * (ratio - 1.0); }

std::vector<Cell> cells_of(const ResultsRow& regret, const std::string& name) {
  return {name,
          {regret.number("steps"), 0},
          {regret.positive("mean_ratio"), 4},
          {regret.positive("max_ratio"), 3},
          {regret.number("mean_us"), 2},
          {regret.number("max_us"), 1},
          {regret.number("steps_over"), 0},
          regret.text("max_step")};
}

std::string regret_table(const ResultsRow& regrets, const std::string& title, const std::string& text) {
  Plot plot{"bars", title, text};
  plot.signals = {{"axis", "mean regret, %"}};
  std::vector<std::vector<Cell>> table;
  const auto add = [&](const ResultsRow& regret, const std::string& name, bool own) {
    table.push_back(cells_of(regret, name));
    if (plot.rows.size() >= kMostBars) return;
    const double mean = percent_over(regret.positive("mean_ratio"));
    plot.rows.push_back(
        {{"label", name},
         {"value", std::max(mean, 0.0)},
         {"own", own},
         {"note", fmt::format("{:.2f}%, worst {:.1f}%", mean, percent_over(regret.positive("max_ratio")))}});
  };
  add(regrets.object("policy"), "policy", true);
  for (const ResultsRow& constant : regrets.objects("constants"))
    add(constant, "always " + constant.text("name"), false);
  return html_plot(plot) + html_table(title,
                                      {"choice", "steps", "mean ratio", "worst ratio", "mean, us", "worst, us",
                                       "steps over 1.05 and 0.5 us", "worst step (workload/rows)"},
                                      table);
}

}  // namespace

std::string regret_tables(const ResultsRow& regrets) {
  std::string html = regret_table(
      regrets.object("all"), "Regret of the policy, and of always taking one route",
      "How much longer a step takes than on the route that is best for it, in the mean over steps that the profile was "
      "not fitted on; the best is chosen on one half of the samples and scored on the other. Shorter is better.");
  if (const auto without = regrets.object_or_none("without_stream")) {
    html += regret_table(*without, "The same without stream",
                         "stream is neither chosen nor the best of a step: the study's own question.");
  }
  return html;
}

std::string regret_by_workload(const std::vector<ResultsRow>& workloads) {
  if (workloads.empty()) return "";
  std::vector<std::vector<Cell>> table;
  for (const ResultsRow& row : workloads) {
    const ResultsRow policy = row.object("policy");
    const ResultsRow constant = row.object("best_constant");
    table.push_back({row.text("workload"),
                     {row.number("group_size"), 0},
                     {policy.number("steps"), 0},
                     {policy.positive("mean_ratio"), 4},
                     {policy.positive("max_ratio"), 3},
                     {policy.number("max_us"), 1},
                     {constant.positive("mean_ratio"), 4},
                     constant.text("name")});
  }
  return html_table("Regret by workload",
                    {"workload", "G", "steps", "policy, mean ratio", "worst ratio", "worst, us",
                     "best constant, mean ratio", "best constant"},
                    table);
}

std::string regret_section(const ResultsFile& file) {
  return regret_tables(file.root()) + regret_by_workload(file.rows());
}

std::string calibrate_section(const ResultsFile& file) {
  Plot plot{
      "bars", "How far the fits are off",
      "Mean error of the profile's estimates on steps that were left out of the fit, by route. Shorter is better."};
  plot.signals = {{"axis", "mean error, %"}};
  std::vector<std::vector<Cell>> table;
  for (const ResultsRow& row : file.rows()) {
    const double splits = row.number("splits");
    const double mean = 100.0 * row.number("error_mean");
    const double median = 100.0 * row.number("error_median");
    const double max = 100.0 * row.number("error_max");
    const std::string route = splits > 0 ? fmt::format("{}/{:.0f}", row.text("route"), splits) : row.text("route");
    const double group = row.positive("group_size");
    plot.rows.push_back({{"label", fmt::format("{}, G = {:.0f}", route, group)},
                         {"value", mean},
                         {"note", fmt::format("{:.1f}%, worst {:.0f}%", mean, max)}});
    table.push_back({route,
                     {group, 0},
                     {row.positive("head_dim"), 0},
                     row.text("dtype"),
                     {row.number("steps"), 0},
                     {mean, 2},
                     {median, 2},
                     {max, 1}});
  }
  return html_plot(plot) + html_table("Errors of the fits, cross-validated",
                                      {"route", "G", "head_dim", "dtype", "steps", "mean, %", "median, %", "worst, %"},
                                      table);
}

}  // namespace pkv::report
