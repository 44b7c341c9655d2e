#include "report/table.hpp"
#include "sections.hpp"
#include "trace_steps.hpp"
#include "writing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

namespace pkv::reproduce {

namespace {

constexpr int kPaperSms = 28;

/// Means over the steps as the paper prints them; nothing where it does not.
struct Golden {
  std::string_view run;
  std::uint32_t seed = 0;
  RouteSpec route;
  std::int64_t pages = 0;
  std::optional<double> active = {}, kv_mib = {}, launches = {}, merge_launches = {}, ctas_per_sm = {}, merge_mib = {};
};

constexpr RouteSpec kExact{Route::kExactBuckets, 0};
constexpr auto kNone = std::nullopt;

constexpr RouteSpec queue(int splits) { return {Route::kWorkqueue, splits}; }

const std::array kGolden = {
    Golden{"bucketed-b1", 20260623, {Route::kSequenceSplit, 32}, 30793, 1.00, 32.1, 2.00, 1.00, 9.1, 0.51},
    Golden{"bucketed-b1", 20260623, queue(24), 30793, 1.00, 32.1, 2.00, 1.00, 6.9, 0.38},
    Golden{"bimodal-b8", 20260623, kExact, 24285, 8.00, 550.5, 16.00, 8.00, 73.1, 4.06},
    Golden{"bimodal-b8", 20260623, queue(20), 24285, 8.00, 550.5, 2.00, 1.00, 45.7, 2.54},
    Golden{"bimodal-b8", 20260624, kExact, 27474, 8.00, 730.0, 16.00},
    Golden{"bimodal-b8", 20260622, queue(20), 25828, 7.77, 638.1, 2.00, 1.00},
    Golden{"uniform-b8", 20260623, kExact, 31446, 8.00, 671.0, 16.00, 8.00, 73.1, 4.06},
    Golden{"uniform-b8", 20260623, queue(24), 31446, 8.00, 671.0, 2.00, 1.00, 54.9, 3.05},
    Golden{"uniform-b8", 20260624, kExact, 25788, 8.00, 555.8, 16.00},
    Golden{"zipf-b8", 20260623, kExact, 30878, 8.00, 672.2, 16.00, 8.00, 73.1, 4.06},
    Golden{"zipf-b8", 20260623, queue(28), 30878, 8.00, 672.2, 2.00, 1.00, 64.0, 3.55},
    Golden{"zipf-b8", 20260624, kExact, 31463, 8.00, 676.9, 16.00},
    Golden{"homogeneous-b8", 20260623, kExact, 49260, kNone, 1024.7, 2.00},
    Golden{"bimodal-b4", 20260623, queue(20), 15849, kNone, 333.3, 2.00, 1.00},
    Golden{"gqa-sweep", 20260623, queue(20), 7585, kNone, 472.7, 2.00, 1.00},
};

/// Sums over the steps of what ran.
struct Counted {
  std::int64_t pages = 0, steps = 0, rows = 0, kv_bytes = 0;
  ExecutedCounters executed;
};

Counted count(Bench& bench, const Golden& golden) {
  const PaperRun& run = find_paper_run(golden.run);
  TraceSteps steps(run, golden.seed, kPaperShape);
  Counted sum;
  sum.pages = steps.num_pages();
  BenchStep step;
  while (sum.steps < run.num_steps && steps.next(step)) {
    bench.begin_step(step);
    const ExecutedCounters executed = bench.run(golden.route);
    sum.rows += step.step.batch;
    sum.kv_bytes += step.step.useful_kv_bytes();
    sum.executed.launches += executed.launches;
    sum.executed.merge_launches += executed.merge_launches;
    sum.executed.decode_ctas += executed.decode_ctas;
    sum.executed.merge_bytes += executed.merge_bytes;
    ++sum.steps;
  }
  return sum;
}

/// Compares one figure as far as it is printed, and makes its cell.
class Comparison {
 public:
  std::string operator()(double value, const std::optional<double>& published, int digits) {
    if (!published) return cell(value, digits);
    const bool same = std::abs(value - *published) <= 0.51 * std::pow(10.0, -digits);
    same_ = same_ && same;
    return same ? cell(value, digits) + " =" : fmt::format("{} ({})", cell(value, digits), cell(*published, digits));
  }
  [[nodiscard]] bool same() const noexcept { return same_; }

 private:
  bool same_ = true;
};

}  // namespace

std::int64_t counters_bytes() {
  std::int64_t pages = 0;
  for (const Golden& golden : kGolden) pages = std::max(pages, golden.pages);
  return pages * page_bytes(kPaperShape);
}

void counters(Bench& bench, const Effort& /*effort*/, Output& output) {
  report::Table table(
      {"trace", "seed", "route", "pages", "active", "KV", "launches", "merge launches", "CTAs / 28 SMs", "merge"},
      {"", "", "", "", "rows", "MiB", "", "", "", "MiB"});
  for (const Golden& golden : kGolden) {
    if (!bench.why_not(golden.route.route, kPaperShape, kPageSize).empty()) continue;
    const Counted sum = count(bench, golden);
    const auto steps = static_cast<double>(sum.steps);
    const double active = static_cast<double>(sum.rows) / steps;
    const double kv_mib = static_cast<double>(sum.kv_bytes) / steps / (1 << 20);
    const double launches = static_cast<double>(sum.executed.launches) / steps;
    const double merges = static_cast<double>(sum.executed.merge_launches) / steps;
    const double ctas = static_cast<double>(sum.executed.decode_ctas) / steps / kPaperSms;
    const double merge_mib = static_cast<double>(sum.executed.merge_bytes) / steps / (1 << 20);
    Comparison compare;
    table.add({std::string(golden.run), fmt::to_string(golden.seed), label(golden.route),
               compare(static_cast<double>(sum.pages), static_cast<double>(golden.pages), 0),
               compare(active, golden.active, 2), compare(kv_mib, golden.kv_mib, 1),
               compare(launches, golden.launches, 2), compare(merges, golden.merge_launches, 2),
               compare(ctas, golden.ctas_per_sm, 1), compare(merge_mib, golden.merge_mib, 2)});
    output.results["counters"].push_back({{"workload", golden.run},
                                          {"seed", golden.seed},
                                          {"route", to_string(golden.route.route)},
                                          {"splits", golden.route.splits},
                                          {"steps", sum.steps},
                                          {"physical_pages", sum.pages},
                                          {"mean_active_rows", active},
                                          {"kv_mib", kv_mib},
                                          {"launches", launches},
                                          {"merge_launches", merges},
                                          {"decode_ctas_per_paper_sm", ctas},
                                          {"merge_mib", merge_mib},
                                          {"as_published", compare.same()}});
    if (!compare.same())
      output.problems.push_back(fmt::format("counters of {} seed {} by {} are not the paper's", golden.run, golden.seed,
                                            label(golden.route)));
  }
  output.print(fmt::format(
      "Structural counters, means over the steps, of the plans that ran. \"=\": as the paper prints it; else its "
      "figure in brackets\n\n{}",
      table.text()));
}

}  // namespace pkv::reproduce
