#include "markup.hpp"
#include "sections.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pkv::report {

namespace {

double gb_per_s(double bytes, double us) { return bytes / us / 1e3; }

}  // namespace

std::string replay_section(const ResultsFile& file) {
  const std::vector<ResultsRow> rows = file.rows();
  double longest_us = 0.0;
  for (const ResultsRow& row : rows) longest_us = std::max(longest_us, row.positive("time_us"));
  const bool in_ms = longest_us >= 1e4;
  const std::string unit = in_ms ? "ms" : "us";
  const double us = in_ms ? 1e-3 : 1.0;

  Plot time{"replay_time", "Time of a step, by route",
            "Bars are means over the steps, of one layer's attention without planning; marks are the median and the "
            "95th and 99th "
            "percentile. Shorter is better."};
  time.signals = {{"unit", unit}};
  Plot rate{"bars", "Useful KV read, by route",
            "Useful KV bytes over mean time. The upright mark is the rate of the fastest reader of the same pages, the "
            "limit; the "
            "percentage is the limit's time over ours. Longer is better."};
  rate.signals = {{"axis", "GB/s"}};
  Plot tokens{"bars", "Tokens decoded, by route",
              "Rows decoded over time, planning included, of one layer. Longer is better."};
  tokens.signals = {{"axis", "tokens/s"}};
  const std::string first = rows.front().text("workload");
  const bool one_workload =
      std::all_of(rows.begin(), rows.end(), [&](const ResultsRow& row) { return row.text("workload") == first; });

  std::vector<std::vector<Cell>> table;
  for (const ResultsRow& row : rows) {
    const std::string route = row.text("route");
    const std::string workload = row.text("workload");
    const std::string label = one_workload ? route : fmt::format("{}, {}", workload, route);
    const double mean_us = row.positive("time_us");
    const double p50 = row.positive("time_p50_us") * us;
    const double p95 = row.positive("time_p95_us") * us;
    const double p99 = row.positive("time_p99_us") * us;
    const double kv_bytes = row.positive("kv_bytes");
    const double gbps = gb_per_s(kv_bytes, mean_us);
    const double limit_us = row.positive_or("limit_us", 0.0);  // 0: not measured
    const double per_s = row.positive("tokens_per_s");
    const std::string share = limit_us > 0.0 ? fmt::format(", {:.0f}% of limit", 100.0 * limit_us / mean_us) : "";
    time.rows.push_back({{"label", label}, {"mean", mean_us * us}, {"p50", p50}, {"p95", p95}, {"p99", p99}});
    rate.rows.push_back({{"label", label}, {"value", gbps}, {"note", fmt::format("{:.1f}{}", gbps, share)}});
    if (limit_us > 0.0) rate.rows.back()["limit"] = gb_per_s(kv_bytes, limit_us);
    tokens.rows.push_back({{"label", label}, {"value", per_s}, {"note", fmt::format("{:.1f}", per_s)}});
    const Cell of_limit = limit_us > 0.0 ? Cell(100.0 * limit_us / mean_us, 0) : Cell("-");
    table.push_back({workload,
                     route,
                     {per_s, 1},
                     {mean_us * us, in_ms ? 2 : 1},
                     {p50, in_ms ? 2 : 1},
                     {p95, in_ms ? 2 : 1},
                     {p99, in_ms ? 2 : 1},
                     {row.positive_or("plan_us", 0.0), 1},
                     {gbps, 1},
                     of_limit});
  }
  return html_plot(time) + html_plot(rate) + html_plot(tokens) +
         html_table("Routes of the replay",
                    {"workload", "route", "tokens/s", "step mean, " + unit, "p50, " + unit, "p95, " + unit,
                     "p99, " + unit, "plan, us", "KV, GB/s", "of limit, %"},
                    table);
}

}  // namespace pkv::report
