#include "markup.hpp"
#include "persistentkv/core/error.hpp"
#include "sections.hpp"

#include <fmt/format.h>

#include <map>
#include <utility>

namespace pkv::report {

namespace {

constexpr double kDrawnShare = 0.999;  // beyond, one request's luck would set the axis

/// Requests of one workload under one clock: what routes can be compared on.
struct Load {
  std::string clock;
  Plot token{"cdf", "",
             "Share of requests whose mean time from token to token was at most so long. Further left is better."};
  Plot first{"cdf_log", "",
             "Share of requests whose first token came within so long of their arrival, prompt included; the axis is "
             "logarithmic. Further left is better."};
  std::vector<std::vector<Cell>> table;
};

void add_curve(Plot& plot, const ResultsRow& distribution, const std::vector<double>& shares, const std::string& route,
               double per_us, const char* unit) {
  const std::vector<double> quantiles = distribution.numbers("cdf");
  if (quantiles.empty()) return;  // nobody finished
  if (quantiles.size() != shares.size()) {
    throw IoError(fmt::format("{} has {} numbers, must have as many as cdf_shares, {}", distribution.where("cdf"),
                              quantiles.size(), shares.size()));
  }
  for (std::size_t i = 0; i < shares.size(); ++i) {
    const double x = quantiles[i] * per_us;
    if (shares[i] <= kDrawnShare && x > 0.0)
      plot.rows.push_back({{"route", route}, {"x", x}, {"share", shares[i]}, {"unit", unit}});
  }
}

Cell ms_cell(const ResultsRow& distribution, const char* member) { return {distribution.number(member) * 1e-3, 2}; }
Cell s_cell(const ResultsRow& distribution, const char* member) { return {distribution.number(member) * 1e-6, 3}; }

/// "stream 812, workqueue 40"
std::string choices(const ResultsRow& row) {
  std::string text;
  for (const auto& [route, steps] : row.object("route_steps").json().items())
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", route, steps.dump());
  return text;
}

}  // namespace

std::string serving_section(const ResultsFile& file) {
  const std::vector<double> shares = file.root().numbers("cdf_shares");
  std::vector<std::pair<std::string, Load>> loads;
  for (const ResultsRow& row : file.rows()) {
    const std::string name = row.text("workload");
    const std::string clock = row.text("clock");
    if (loads.empty() || loads.back().first != name || loads.back().second.clock != clock) {
      loads.emplace_back(name, Load());
      loads.back().second.clock = clock;
    }
    Load& load = loads.back().second;
    const std::string route = row.text("route");
    const ResultsRow token = row.object("time_per_output_token_us");
    const ResultsRow first = row.object("time_to_first_token_us");
    add_curve(load.token, token, shares, route, 1e-3, "ms");
    add_curve(load.first, first, shares, route, 1e-6, "s");
    const double limit = row.positive_or("limit_us", 0.0);
    const Cell of_limit = limit > 0.0 ? Cell(100.0 * limit / row.positive("limit_time_us"), 0) : Cell("-");
    load.table.push_back({route,
                          {row.positive("tokens_per_s"), 0},
                          {row.positive("tokens_per_busy_s"), 0},
                          ms_cell(token, "p50"),
                          ms_cell(token, "p95"),
                          ms_cell(token, "p99"),
                          s_cell(first, "p50"),
                          s_cell(first, "p99"),
                          s_cell(row.object("queue_wait_us"), "p99"),
                          {row.number("finished"), 0},
                          {row.number("steps"), 0},
                          {row.number("mean_active_rows"), 1},
                          {row.positive("time_us"), 1},
                          of_limit,
                          {row.number("mlp_us"), 1},
                          {row.number("plan_us"), 1},
                          {100.0 * row.number("kv_pages_used"), 1},
                          {100.0 * row.number("kv_slots_filled"), 1},
                          choices(row)});
  }
  std::string html;
  for (auto& [name, load] : loads) {
    load.token.title = "Time per output token";
    load.first.title = "Time to first token";
    load.token.signals = {{"axis", "time per output token, ms"}};
    load.first.signals = {{"axis", "time to first token, s"}};
    html += fmt::format("<h3 class=\"load\">{}</h3>\n<p class=\"clock\">Clock: {}</p>\n", escaped(name),
                        escaped(load.clock));
    if (!load.token.rows.empty()) html += html_plot(load.token);
    if (!load.first.rows.empty()) html += html_plot(load.first);
    html += html_table("Routes that served it, each in a run of its own",
                       {"route", "tokens/s", "tokens/s in steps", "token p50, ms", "p95, ms", "p99, ms", "first p50, s",
                        "p99, s", "wait p99, s", "requests done", "steps", "rows a step", "attention, us",
                        "of limit, %", "MLP, us", "plan, us", "KV pages used, %", "slots filled, %", "steps by route"},
                       load.table);
  }
  return html;
}

}  // namespace pkv::report
