#include "writing.hpp"

#include "published.hpp"
#include "report/table.hpp"
#include "trace_steps.hpp"

#include <fmt/format.h>

namespace pkv::reproduce {

namespace {

using nlohmann::ordered_json;

ordered_json number_or_null(const std::optional<double>& value) {
  return value ? ordered_json(*value) : ordered_json();
}

ordered_json ratios_of(const TraceTimes& trace, const RouteTimes& route) {
  ordered_json all;
  for (const Clock clock : kClocks)
    for (const Base base : kBases)
      all[std::string(to_string(clock))][std::string(to_string(base))] =
          number_or_null(ratio(trace, route, clock, base));
  return all;
}

ordered_json errors_of(const Errors& errors) {
  if (errors.count == 0) return nullptr;
  return {{"max", errors.max}, {"mean", errors.mean()}};
}

ordered_json choices_of(const RouteTimes& route) {
  ordered_json steps = ordered_json::object();
  for (const Route r : kRunnableRoutes)
    if (const std::int64_t count = route.chosen[static_cast<std::size_t>(r)]; count > 0)
      steps[std::string(to_string(r))] = count;
  return steps;
}

ordered_json published_of(std::string_view section, std::string_view workload, const RouteSpec& spec) {
  const PublishedRatio* p = find_published(section, workload, spec);
  if (p == nullptr) return nullptr;
  return {{"event", {{"mean", p->event}, {"std", p->event_std}}}, {"wall", {{"mean", p->wall}, {"std", p->wall_std}}}};
}

void write_rows(std::string_view section, const TraceTimes& trace, ordered_json& rows) {
  for (const RouteTimes& route : trace.routes) {
    if (!route.ran()) continue;
    ordered_json row = row_of(section, trace.workload, trace.shape, route.spec);
    row["seed"] = trace.seed;
    row["batch"] = trace.max_active;
    row["steps"] = trace.steps;
    row["kv_bytes"] = trace.kv_bytes;
    row["time_us"] = route.layer_us;
    row["plan_us"] = route.fair.plan_us;
    row["limit_us"] = trace.limit_us;
    for (const Clock clock : kClocks) row[fmt::format("{}_us", to_string(clock))] = time_us(route, clock);
    row["ratios"] = ratios_of(trace, route);
    row["error_vs_flashinfer"] = errors_of(route.against_flashinfer);
    row["error_vs_fp64"] = errors_of(route.against_fp64);
    if (route.spec.route == Route::kPolicy) row["chosen_steps"] = choices_of(route);
    rows.push_back(std::move(row));
  }
}

void write_summary(std::string_view section, std::span<const TraceTimes> traces, ordered_json& summary) {
  for (std::size_t r = 0; r < traces.front().routes.size(); ++r) {
    const RouteTimes& route = traces.front().routes[r];
    if (!route.ran()) continue;
    ordered_json entry{{"section", section},
                       {"workload", traces.front().workload},
                       {"route", to_string(route.spec.route)},
                       {"splits", route.spec.splits},
                       {"seeds", traces.size()}};
    for (const Clock clock : kClocks) {
      for (const Base base : kBases) {
        const std::optional<MeanStd> value = ratio_over(traces, r, clock, base);
        entry["ratios"][std::string(to_string(clock))][std::string(to_string(base))] =
            value ? ordered_json{{"mean", value->mean}, {"std", value->std}} : ordered_json();
      }
    }
    entry["published"] = published_of(section, traces.front().workload, route.spec);
    summary.push_back(std::move(entry));
  }
}

}  // namespace

ordered_json row_of(std::string_view section, std::string_view workload, const AttentionShape& shape,
                    const RouteSpec& spec) {
  return {{"section", section},
          {"workload", workload},
          {"route", to_string(spec.route)},
          {"splits", spec.splits},
          {"num_q_heads", shape.num_q_heads},
          {"num_kv_heads", shape.num_kv_heads},
          {"head_dim", shape.head_dim},
          {"dtype", "fp16"},
          {"page_size", kPageSize}};
}

void write_traces(std::string_view section, std::span<const TraceTimes> traces, ordered_json& results) {
  for (const TraceTimes& trace : traces) write_rows(section, trace, results["rows"]);
  write_summary(section, traces, results["summary"]);
}

std::string cell(double value, int digits) { return fmt::format("{:.{}f}", value, digits); }

std::string cell(const std::optional<MeanStd>& value) {
  if (!value) return "-";
  return value->std > 0.0 ? fmt::format("{:.3f} +- {:.3f}", value->mean, value->std)
                          : fmt::format("{:.3f}", value->mean);
}

double mean_us(std::span<const TraceTimes> traces, std::size_t route, Clock clock) {
  double sum = 0.0;
  for (const TraceTimes& trace : traces) sum += time_us(trace.routes[route], clock);
  return sum / static_cast<double>(traces.size());
}

std::string fair_table(std::span<const std::vector<TraceTimes>> workloads) {
  report::Table table({"trace", "route", "event", "wall", "plan", "over CUDA-core", "over tensor-core", "over better",
                       "wall over better", "of best single"},
                      {"", "", "us", "us", "us", "event", "event", "event", "", "event"});
  for (const std::vector<TraceTimes>& traces : workloads) {
    for (std::size_t r = 0; r < traces.front().routes.size(); ++r) {
      const RouteTimes& route = traces.front().routes[r];
      if (!route.ran()) continue;
      double plan_us = 0.0;
      for (const TraceTimes& trace : traces)
        plan_us += trace.routes[r].fair.plan_us / static_cast<double>(traces.size());
      table.add({traces.front().workload, label(route.spec), cell(mean_us(traces, r, Clock::kFairEvent), 1),
                 cell(mean_us(traces, r, Clock::kFairWall), 1), cell(plan_us, 1),
                 cell(ratio_over(traces, r, Clock::kFairEvent, Base::kCudaCore)),
                 cell(ratio_over(traces, r, Clock::kFairEvent, Base::kTensorCore)),
                 cell(ratio_over(traces, r, Clock::kFairEvent, Base::kBetter)),
                 cell(ratio_over(traces, r, Clock::kFairWall, Base::kBetter)),
                 cell(ratio_over(traces, r, Clock::kFairEvent, Base::kBestSingle))});
    }
  }
  return table.text();
}

std::string paper_table(std::string_view section, std::span<const std::vector<TraceTimes>> workloads) {
  report::Table table({"trace", "route", "event", "wall", "over tensor-core", "paper's", "wall over t.-c.", "paper's"},
                      {"", "", "us", "us", "event", "event", "wall", "wall"});
  for (const std::vector<TraceTimes>& traces : workloads) {
    for (std::size_t r = 0; r < traces.front().routes.size(); ++r) {
      const RouteTimes& route = traces.front().routes[r];
      if (!route.ran()) continue;
      const PublishedRatio* p = find_published(section, traces.front().workload, route.spec);
      table.add({traces.front().workload, label(route.spec), cell(mean_us(traces, r, Clock::kPaperEvent), 1),
                 cell(mean_us(traces, r, Clock::kPaperWall), 1),
                 cell(ratio_over(traces, r, Clock::kPaperEvent, Base::kTensorCore)),
                 p == nullptr ? "" : cell(MeanStd{p->event, p->event_std}),
                 cell(ratio_over(traces, r, Clock::kPaperWall, Base::kTensorCore)),
                 p == nullptr ? "" : cell(MeanStd{p->wall, p->wall_std})});
    }
  }
  return table.text();
}

}  // namespace pkv::reproduce
