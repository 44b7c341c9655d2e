#include "timeline_svg.hpp"

#include "page/markup.hpp"
#include "svg_style.hpp"
#include "timeline/layout.hpp"
#include "timeline/phases.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

namespace pkv::report {

namespace {

using timeline::Bar;

constexpr double kLeft = 48;
constexpr double kPlotWidth = 1100;
constexpr double kHead = 58;  // above the lanes of a panel
constexpr double kFoot = 50;  // below them
constexpr double kRight = 24;

std::string colour(const Bar& bar) {
  switch (bar.kind) {
    case Bar::Kind::kCta:
      return "#dcdcdc";
    case Bar::Kind::kTask:
      return row_colour(bar.row, bar.kv_head);
    case Bar::Kind::kJoin:
      break;
  }
  return "#333333";
}

double lane_height(int lanes) { return std::clamp(640.0 / std::max(lanes, 1), 2.0, 24.0); }

/// One step, with its axis; returns its height.
double draw(std::string& svg, const TitledTimeline& step, double top, double end_us) {
  const auto out = std::back_inserter(svg);
  const timeline::StepTimeline& t = *step.timeline;
  const timeline::Layout layout = timeline::lay_out(t);
  const timeline::SmShares shares = timeline::sm_shares(t);
  const auto lanes = static_cast<int>(layout.sm_of_lane.size());
  const double pitch = lane_height(lanes);
  const double height = pitch * lanes;
  const double scale = kPlotWidth / end_us;
  const double y0 = top + kHead;
  fmt::format_to(out,
                 "<text x=\"{0:.0f}\" y=\"{1:.0f}\" font-size=\"16\" font-weight=\"bold\">{2}</text>\n"
                 "<text x=\"{0:.0f}\" y=\"{3:.0f}\">{4:.1f} us; {5} CTAs on {6} SMs; KV in flight {7:.0f}% of the SMs' "
                 "time</text>\n",
                 kLeft, top + 22, escaped(step.title), top + 42, t.duration_us, t.ctas.size(), lanes,
                 100.0 * shares.in_flight);
  fmt::format_to(out, "<rect x=\"{:.0f}\" y=\"{:.1f}\" width=\"{:.0f}\" height=\"{:.1f}\" fill=\"#f6f6f6\"/>\n", kLeft,
                 y0, kPlotWidth, height);
  for (const Bar& bar : layout.bars) {
    if (!(bar.end_us > bar.begin_us)) continue;
    fmt::format_to(out,
                   "<rect x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\" fill=\"{}\"><title>{}</title>"
                   "</rect>\n",
                   kLeft + scale * bar.begin_us, y0 + pitch * bar.top, scale * (bar.end_us - bar.begin_us),
                   std::max(pitch * (bar.bottom - bar.top) * 0.94, 0.2), colour(bar), bar.text);
  }
  const double x_end = kLeft + scale * t.duration_us;
  fmt::format_to(out,
                 "<line x1=\"{0:.2f}\" x2=\"{0:.2f}\" y1=\"{1:.1f}\" y2=\"{2:.1f}\" stroke=\"#333\" "
                 "stroke-dasharray=\"4 3\"/>\n",
                 x_end, y0 - 6, y0 + height + 6);
  const double step_us = tick_step(end_us);
  for (int tick = 0; tick * step_us <= end_us; ++tick) {
    fmt::format_to(out, "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{:g}</text>\n",
                   kLeft + scale * tick * step_us, y0 + height + 18, tick * step_us);
  }
  fmt::format_to(out,
                 "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">us since the first CTA's start</text>\n"
                 "<text transform=\"translate(20 {:.1f}) rotate(-90)\" text-anchor=\"middle\">SMs</text>\n",
                 kLeft + kPlotWidth / 2, y0 + height + 36, y0 + height / 2);
  return kHead + height + kFoot;
}

}  // namespace

std::string step_timeline_svg(const std::vector<TitledTimeline>& timelines) {
  double end_us = 0.0;
  for (const TitledTimeline& step : timelines) end_us = std::max(end_us, step.timeline->duration_us);
  if (!(end_us > 0.0)) end_us = 1.0;
  std::string body;
  double height = 0.0;
  for (const TitledTimeline& step : timelines) height += draw(body, step, height, end_us);
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} {1:.0f}\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{2}"
      "<text x=\"{3:.0f}\" y=\"{4:.0f}\">A lane is an SM, those that stop first at the top; a colour is a row, a shade "
      "a "
      "KV head; light grey: a CTA that reads nothing yet, or no more; dark: joining and merging.</text>\n</svg>\n",
      kLeft + kPlotWidth + kRight, height + 24, body, kLeft, height + 6);
}

}  // namespace pkv::report
