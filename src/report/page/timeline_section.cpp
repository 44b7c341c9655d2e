#include "../svg_style.hpp"
#include "../timeline_json.hpp"
#include "markup.hpp"
#include "persistentkv/core/error.hpp"
#include "sections.hpp"
#include "timeline/layout.hpp"
#include "timeline/phases.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

namespace pkv::report {

namespace {

using timeline::Bar;
using timeline::StepTimeline;

struct Step {
  std::string workload;
  std::string route;
  StepTimeline timeline;
  double time_us = 0.0;
  double limit_us = 0.0;
};

StepTimeline timeline_of(const ResultsRow& row) {
  try {
    return timeline_from_json(row.object("timeline").json());
  } catch (const InvalidArgument& error) {
    throw IoError(row.where("") + error.what());
  }
}

double in_ns(double us) { return std::round(us * 1e3) / 1e3; }

nlohmann::json bar_json(const Bar& bar) {
  nlohmann::json json = {{"x", in_ns(bar.begin_us)},
                         {"x2", in_ns(bar.end_us)},
                         {"y", in_ns(bar.top)},
                         {"y2", in_ns(bar.bottom)},
                         {"text", bar.text}};
  json["kind"] = bar.kind == Bar::Kind::kCta ? "cta" : bar.kind == Bar::Kind::kTask ? "task" : "join";
  if (bar.kind == Bar::Kind::kTask) json["colour"] = row_colour(bar.row, bar.kv_head);
  return json;
}

constexpr std::size_t kMostBars = 30000;  // browsers draw no more in bearable time

std::string lanes_plot(const Step& step, double end_us) {
  const timeline::Layout layout = timeline::lay_out(step.timeline);
  const timeline::SmShares shares = timeline::sm_shares(step.timeline);
  Plot plot{
      "timeline", step.route + ", " + step.workload,
      fmt::format("{:.1f} us from the first CTA's start to the last one's exit; KV was in flight {:.0f}% of the SMs' "
                  "time. A lane is an SM, a bar a warp at a segment; a colour is a row, a shade a KV head; grey: a "
                  "CTA that reads nothing yet, or no more; the colour of the text: joining and merging.",
                  step.timeline.duration_us, 100.0 * shares.in_flight)};
  if (layout.bars.size() > kMostBars) {
    return fmt::format(
        "<p>{}, {}: {} CTAs with {} segments are too many to be drawn here; pkv timeline --svg does.</p>\n",
        escaped(step.route), escaped(step.workload), step.timeline.ctas.size(), step.timeline.tasks.size());
  }
  for (const Bar& bar : layout.bars)
    if (bar.end_us > bar.begin_us) plot.rows.push_back(bar_json(bar));
  plot.signals = {{"lanes", layout.sm_of_lane.size()}, {"end", end_us}, {"stop", step.timeline.duration_us}};
  return html_plot(plot);
}

/// How many SMs have KV in flight, one line a route.
std::string reading_plot(const std::string& workload, const std::vector<const Step*>& steps) {
  Plot plot{
      "steps", workload + ": SMs with KV in flight",
      "From an SM's plan to the end of its last segment. A schedule that shares work well has one high block, and "
      "one that does not a long tail of few SMs."};
  for (const Step* step : steps)
    for (const auto& [us, sms] : timeline::reading_sms(step->timeline))
      plot.rows.push_back({{"route", step->route}, {"x", in_ns(us)}, {"y", sms}});
  return html_plot(plot);
}

}  // namespace

std::string timeline_section(const ResultsFile& file) {
  std::vector<Step> steps;
  for (const ResultsRow& row : file.rows()) {
    Step step{row.text("workload"), row.text("route"), timeline_of(row), row.positive("time_us"),
              row.positive_or("limit_us", 0.0)};
    step.workload += fmt::format(", {:.0f} KV heads", row.positive("num_kv_heads"));
    steps.push_back(std::move(step));
  }
  std::map<std::string, std::vector<const Step*>> by_workload;
  std::vector<std::string> order;
  for (const Step& step : steps) {
    std::vector<const Step*>& of = by_workload[step.workload];
    if (of.empty()) order.push_back(step.workload);
    of.push_back(&step);
  }
  std::string html;
  for (const std::string& workload : order) {
    double end_us = 0.0;
    for (const Step* step : by_workload[workload]) end_us = std::max(end_us, step->timeline.duration_us);
    html += reading_plot(workload, by_workload[workload]);
    for (const Step* step : by_workload[workload]) html += lanes_plot(*step, end_us);
  }

  std::vector<std::vector<Cell>> shares;
  std::vector<std::vector<Cell>> phases;
  for (const Step& step : steps) {
    const timeline::SmShares s = timeline::sm_shares(step.timeline);
    shares.push_back({step.workload,
                      step.route,
                      {step.timeline.duration_us, 2},
                      {step.time_us, 2},
                      step.limit_us > 0.0 ? Cell(step.limit_us, 2) : Cell("-"),
                      {100.0 * s.before, 1},
                      {100.0 * s.in_flight, 1},
                      {100.0 * s.between, 1},
                      {100.0 * s.after, 1},
                      {100.0 * s.unused, 1}});
    for (const timeline::Phase& p : timeline::phases(step.timeline)) {
      phases.push_back({step.workload,
                        step.route,
                        {static_cast<double>(p.launch), 0},
                        std::string(p.name),
                        {static_cast<double>(p.ctas), 0},
                        {p.min_us, 2},
                        {p.median_us, 2},
                        {p.max_us, 2},
                        {static_cast<double>(p.last_sm), 0}});
    }
  }
  return html +
         html_table("What the SMs did, in shares of the step",
                    {"workload", "route", "first start to last exit, us", "without stamps, us", "fastest reader, us",
                     "before a plan, %", "KV in flight, %", "between, %", "after, %", "on SMs that read nothing, %"},
                    shares) +
         html_table(
             "When CTAs got where, since the first one's start",
             {"workload", "route", "launch", "milestone", "CTAs", "min, us", "median, us", "max, us", "last on SM"},
             phases);
}

}  // namespace pkv::report
