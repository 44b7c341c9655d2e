#include "markup.hpp"
#include "sections.hpp"

#include <fmt/format.h>

#include <map>

namespace pkv::report {

namespace {

constexpr double kMiB = 1 << 20;

/// One plot of each kind for a route: routes in one plot would hide one another.
struct RoutePlots {
  Plot limit;
  Plot over;
};

RoutePlots plots_of(const std::string& route) {
  return {{"limit", route + ": time against limit",
           "Each point is one workload; both axes are logarithmic. The line is time = limit, where a step takes what "
           "the fastest reader of the same pages takes; no point can be far below it. Colour is the group size G "
           "(query heads "
           "for each KV head), shape says whether steps were chained by programmatic dependent launch or ran alone."},
          {"over", route + ": time over the limit, by size of the step",
           "Microseconds beyond the fastest reader of the same pages. What stays at the left, where steps are small, "
           "is the "
           "fixed cost of a launch; what grows to the right is lost bandwidth."}};
}

}  // namespace

std::string cuda_bench_section(const ResultsFile& file) {
  std::map<std::string, RoutePlots> plots;
  std::vector<std::vector<Cell>> table;
  for (const ResultsRow& row : file.rows()) {
    const std::string workload = row.text("workload");
    const std::string route = row.text("route");
    const std::string dtype = row.text("dtype");
    const double group = row.positive("num_q_heads") / row.positive("num_kv_heads");
    const std::string chained = row.flag("pdl") ? "chained" : "alone";
    const double kv_mib = row.positive("kv_bytes") / kMiB;
    const double limit = row.positive("limit_us");
    const double time = row.positive("time_us");
    const Cell worst = row.has("time_worst_us") ? Cell(row.positive("time_worst_us"), 1) : Cell("-");
    const nlohmann::json point = {{"workload", workload}, {"dtype", dtype},         {"group", group},
                                  {"chained", chained},   {"kv_mib", kv_mib},       {"limit_us", limit},
                                  {"time_us", time},      {"over_us", time - limit}};
    RoutePlots& of_route = plots.try_emplace(route, plots_of(route)).first->second;
    of_route.limit.rows.push_back(point);
    of_route.over.rows.push_back(point);
    table.push_back({workload,
                     route,
                     dtype,
                     {group, 0},
                     chained,
                     {kv_mib, 1},
                     {limit, 1},
                     {time, 1},
                     worst,
                     {time / limit, 3},
                     {time - limit, 1}});
  }
  std::string html;
  for (const auto& [route, of_route] : plots) html += html_plot(of_route.limit) + html_plot(of_route.over);
  return html + html_table("Time against the limit, one row a measurement",
                           {"workload", "route", "dtype", "G", "launch", "KV, MiB", "limit, us", "time, us",
                            "worst process, us", "time / limit", "over limit, us"},
                           table);
}

}  // namespace pkv::report
