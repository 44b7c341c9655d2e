#include "layout.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

namespace pkv::timeline {

namespace {

using CtaId = std::pair<int, int>;  // launch, number

/// CTAs of an SM in places that are free, the first one found.
struct Places {
  std::map<CtaId, std::size_t> of_cta;
  std::size_t count = 0;
};

Places place(std::vector<const CtaTimes*> ctas) {
  std::sort(ctas.begin(), ctas.end(), [](const auto* a, const auto* b) { return a->start_us < b->start_us; });
  Places places;
  std::vector<double> free_at;
  for (const CtaTimes* cta : ctas) {
    auto found = std::find_if(free_at.begin(), free_at.end(), [&](double us) { return us <= cta->start_us; });
    if (found == free_at.end()) found = free_at.insert(found, 0.0);
    *found = cta->exit_us;
    places.of_cta[{cta->launch, cta->cta}] = static_cast<std::size_t>(found - free_at.begin());
  }
  places.count = free_at.size();
  return places;
}

std::string describe(const CtaTimes& cta) {
  std::string text = fmt::format("SM {}, CTA {}", cta.sm, cta.cta);
  if (cta.launch > 0) text += fmt::format(" of launch {}", cta.launch);
  text += fmt::format(": starts at {:.2f} us", cta.start_us);
  if (cta.planned_us) text += fmt::format(", plan {:.2f}", *cta.planned_us);
  if (cta.first_data_us) text += fmt::format(", first data {:.2f}", *cta.first_data_us);
  if (cta.last_segment_us) text += fmt::format(", last segment {:.2f}", *cta.last_segment_us);
  return text + fmt::format(", exit {:.2f}", cta.exit_us);
}

}  // namespace

Layout lay_out(const StepTimeline& timeline) {
  std::map<int, std::vector<const CtaTimes*>> by_sm;
  std::map<CtaId, int> warps;
  for (const CtaTimes& cta : timeline.ctas) {
    by_sm[cta.sm].push_back(&cta);
    warps[{cta.launch, cta.cta}] = 1;
  }
  for (const Task& task : timeline.tasks) {
    int& count = warps[{task.launch, task.cta}];
    count = std::max(count, task.warp + 1);
  }
  std::vector<std::pair<double, int>> order;
  for (int sm = 0; sm < timeline.num_sms; ++sm) {
    double last = 0.0;
    for (const CtaTimes* cta : by_sm[sm]) last = std::max(last, cta->exit_us);
    order.emplace_back(last, sm);
  }
  std::sort(order.begin(), order.end());

  Layout layout;
  std::map<CtaId, std::pair<double, double>> extent;  // top and bottom
  for (const auto& [last, sm] : order) {
    const auto lane = static_cast<double>(layout.sm_of_lane.size());
    layout.sm_of_lane.push_back(sm);
    const Places places = place(by_sm[sm]);
    for (const auto& [cta, at] : places.of_cta) {
      const auto count = static_cast<double>(places.count);
      extent[cta] = {lane + static_cast<double>(at) / count, lane + static_cast<double>(at + 1) / count};
    }
  }
  layout.bars.reserve(2 * timeline.ctas.size() + timeline.tasks.size());
  for (const CtaTimes& cta : timeline.ctas) {
    const auto [top, bottom] = extent[{cta.launch, cta.cta}];
    layout.bars.push_back({Bar::Kind::kCta, cta.start_us, cta.exit_us, top, bottom, 0, 0, describe(cta)});
  }
  for (const Task& task : timeline.tasks) {
    const CtaId cta{task.launch, task.cta};
    const auto [top, bottom] = extent[cta];
    const double height = (bottom - top) / warps[cta];
    layout.bars.push_back(
        {Bar::Kind::kTask, task.begin_us, task.end_us, top + task.warp * height, top + (task.warp + 1) * height,
         task.row, task.kv_head,
         fmt::format("SM {}, CTA {}, warp {}: row {}, KV head {}, tokens [{}, {}), {:.2f} to {:.2f} us", task.sm,
                     task.cta, task.warp, task.row, task.kv_head, task.token_begin, task.token_end, task.begin_us,
                     task.end_us)});
  }
  for (const CtaTimes& cta : timeline.ctas) {
    const auto [top, bottom] = extent[{cta.launch, cta.cta}];
    const bool only_merges = !cta.planned_us;
    const double begin = only_merges ? cta.start_us : cta.arrived_us.value_or(cta.exit_us);
    const std::string text = fmt::format("SM {}, CTA {}: {} from {:.2f} to {:.2f} us", cta.sm, cta.cta,
                                         only_merges ? "merges" : "joins its warps", begin, cta.exit_us);
    layout.bars.push_back({Bar::Kind::kJoin, begin, cta.exit_us, top, bottom, 0, 0, text});
  }
  return layout;
}

}  // namespace pkv::timeline
