#include "plan_svg.hpp"

#include "persistentkv/core/error.hpp"
#include "svg_style.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <queue>
#include <utility>
#include <vector>

namespace pkv::report {

namespace {

constexpr double kLeft = 64;
constexpr double kTop = 64;
constexpr double kPlotWidth = 1000;
constexpr double kBottom = 56;

struct Bar {
  int lane = 0;
  std::int64_t begin = 0;  // tokens
  std::int64_t end = 0;
  std::int32_t row = 0;
  std::int32_t kv_head = 0;
  bool merge = false;
  std::string title;
};

struct Timeline {
  std::vector<Bar> bars;
  std::vector<std::int64_t> launch_ends;
  std::int64_t busy = 0;
  std::int64_t end = 0;
};

/// Lanes by the time at which they are free, the lowest first.
using FreeLanes =
    std::priority_queue<std::pair<std::int64_t, int>, std::vector<std::pair<std::int64_t, int>>, std::greater<>>;

Timeline lay_out(const WorkPlan& plan, const TimelineOptions& options) {
  Timeline timeline;
  const auto add = [&](Bar bar) {
    timeline.busy += bar.end - bar.begin;
    timeline.end = std::max(timeline.end, bar.end);
    timeline.bars.push_back(std::move(bar));
  };
  for (const Launch& launch : plan.launches()) {
    FreeLanes lanes;
    for (int lane = 0; lane < options.lanes; ++lane) lanes.emplace(timeline.end, lane);
    for (std::int32_t item = launch.begin; item < launch.end; ++item) {
      auto [at, lane] = lanes.top();
      lanes.pop();
      if (launch.kind == Launch::Kind::kMerge) {
        const Merge& m = plan.merges()[static_cast<std::size_t>(item)];
        // A partial is about as many bytes as two tokens of K and V in 16 bits.
        const std::int64_t end = at + std::int64_t{2} * (m.slots_end - m.slots_begin);
        add({lane, at, end, m.row, m.kv_head, true,
             fmt::format("merge of row {}, KV head {}: {} partials", m.row, m.kv_head, m.slots_end - m.slots_begin)});
        at = end;
      } else {
        for (const Segment& s : plan.worker(item)) {
          const std::int64_t end = at + plan.token_end(s) - plan.token_begin(s) + options.segment_cost_tokens;
          add({lane, at, end, s.row, s.kv_head, false,
               fmt::format("CTA {}: row {}, KV head {}, tokens [{}, {})", item, s.row, s.kv_head, plan.token_begin(s),
                           plan.token_end(s))});
          at = end;
        }
      }
      lanes.emplace(at, lane);
    }
    timeline.launch_ends.push_back(timeline.end);
  }
  return timeline;
}

std::string colour(const Bar& bar) {
  return bar.merge ? fmt::format("hsl({},62%,25%)", bar.row * 137LL % 360) : row_colour(bar.row, bar.kv_head);
}

}  // namespace

std::string plan_timeline_svg(const WorkPlan& plan, const TimelineOptions& options) {
  constexpr int kMaxLanes = 512;
  if (options.lanes < 1 || options.lanes > kMaxLanes)
    throw InvalidArgument(fmt::format("lanes is {}, must be in [1, {}]", options.lanes, kMaxLanes));
  const Timeline timeline = lay_out(plan, options);
  const double lane_height = std::clamp(560.0 / options.lanes, 3.0, 24.0);
  const double height = lane_height * options.lanes;
  const double scale = kPlotWidth / static_cast<double>(std::max<std::int64_t>(timeline.end, 1));
  const auto x = [&](std::int64_t tokens) { return kLeft + scale * static_cast<double>(tokens); };

  std::string svg;
  const auto out = std::back_inserter(svg);
  fmt::format_to(out,
                 "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} "
                 "{1:.0f}\" font-family=\"sans-serif\" font-size=\"12\">\n"
                 "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
                 kLeft + kPlotWidth + 24, kTop + height + kBottom);
  const double lane_tokens = static_cast<double>(timeline.end) * options.lanes;
  const double busy = timeline.end > 0 ? 100.0 * static_cast<double>(timeline.busy) / lane_tokens : 0.0;
  fmt::format_to(
      out,
      "<text x=\"{0:.0f}\" y=\"24\" font-size=\"16\" font-weight=\"bold\">{1}: rows {2}, KV heads {3}, "
      "launches {4}</text>\n<text x=\"{0:.0f}\" y=\"44\">{5} CTAs on {6} lanes, busy {7:.1f}% of the time; a "
      "colour is a row, a dark bar a merge, a dashed line the end of a launch</text>\n",
      kLeft, plan.name(), plan.batch(), plan.num_kv_heads(), plan.launches().size(), plan.num_workers(), options.lanes,
      busy);
  fmt::format_to(out, "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"#f2f2f2\"/>\n", kLeft,
                 kTop, kPlotWidth, height);
  for (const Bar& bar : timeline.bars) {
    fmt::format_to(out,
                   "<rect x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\" fill=\"{}\" stroke=\"white\" "
                   "stroke-width=\"0.3\"><title>{}</title></rect>\n",
                   x(bar.begin), kTop + bar.lane * lane_height, scale * static_cast<double>(bar.end - bar.begin),
                   lane_height * 0.94, colour(bar), bar.title);
  }
  for (const std::int64_t end : timeline.launch_ends) {
    fmt::format_to(out,
                   "<line x1=\"{0:.2f}\" x2=\"{0:.2f}\" y1=\"{1:.1f}\" y2=\"{2:.1f}\" stroke=\"#333\" "
                   "stroke-dasharray=\"4 3\"/>\n",
                   x(end), kTop - 6, kTop + height + 6);
  }
  const std::int64_t step = std::max<std::int64_t>(std::llround(tick_step(static_cast<double>(timeline.end))), 1);
  for (std::int64_t tick = 0; tick <= timeline.end; tick += step) {
    fmt::format_to(out, "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n", x(tick),
                   kTop + height + 20, tick);
  }
  fmt::format_to(out,
                 "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">tokens read by a lane, {} added for each "
                 "segment begun</text>\n",
                 kLeft + kPlotWidth / 2, kTop + height + 42, options.segment_cost_tokens);
  fmt::format_to(out,
                 "<text transform=\"translate(20 {:.1f}) rotate(-90)\" text-anchor=\"middle\">lanes</text>\n</svg>\n",
                 kTop + height / 2);
  return svg;
}

}  // namespace pkv::report
