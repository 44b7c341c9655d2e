#include "markup.hpp"
#include "sections.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace pkv::report {

std::string cpu_bench_section(const ResultsFile& file) {
  constexpr std::pair<const char*, const char*> kRates[] = {{"decode_gbps", "decode"},
                                                            {"reader_pages_gbps", "reader: page by page"},
                                                            {"reader_contiguous_gbps", "reader: contiguous"},
                                                            {"reader_non_temporal_gbps", "reader: non-temporal"}};
  const std::vector<ResultsRow> rows = file.rows();
  // Named in the plot only where they differ.
  const bool one_workload = std::all_of(rows.begin(), rows.end(), [&](const ResultsRow& row) {
    return row.text("workload") == rows.front().text("workload");
  });
  Plot plot{"readers", "Decode against readers of the same memory",
            "Rate at which useful KV is read, decode beside three readers that compute nothing, with the same threads "
            "and pool. Decode "
            "cannot be quicker than the fastest reader, which is its limit."};
  std::vector<std::vector<Cell>> table;
  for (const ResultsRow& row : rows) {
    const std::string workload = row.text("workload");
    const std::string dtype = row.text("dtype");
    const std::string simd = row.text("simd");
    std::vector<Cell> cells = {workload, row.text("route"), dtype, simd};
    double best = 0.0;
    for (const auto& [member, name] : kRates) {
      const double rate = row.positive(member);
      if (member != kRates[0].first) best = std::max(best, rate);
      const std::string label =
          one_workload ? fmt::format("{}, {}", dtype, simd) : fmt::format("{}, {}, {}", workload, dtype, simd);
      plot.rows.push_back({{"label", label}, {"kind", name}, {"gbps", rate}});
      cells.emplace_back(rate, 2);
    }
    cells.emplace_back(row.positive("decode_gbps") / best, 2);
    cells.emplace_back(row.positive("time_us") / 1e3, 2);
    cells.emplace_back(row.positive("limit_us") / 1e3, 2);
    table.push_back(cells);
  }
  return html_plot(plot) +
         html_table("Decode and readers, one row a measurement",
                    {"workload", "route", "dtype", "SIMD", "decode, GB/s", "pages, GB/s", "contiguous, GB/s",
                     "non-temporal, GB/s", "decode / best reader", "step, ms", "limit, ms"},
                    table);
}

}  // namespace pkv::report
