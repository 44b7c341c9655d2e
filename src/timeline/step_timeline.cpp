#include "step_timeline.hpp"

#include "persistentkv/core/error.hpp"
#include "sm_clocks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <tuple>

namespace pkv::timeline {

namespace {

using WarpId = std::tuple<int, int, int>;  // launch, CTA, warp

void raise(std::optional<double>& latest, double us) { latest = latest ? std::max(*latest, us) : us; }

/// Adds one warp to its CTA, and its tasks to the timeline.
class WarpReader {
 public:
  WarpReader(StepTimeline& timeline, CtaTimes& cta) : timeline_(timeline), cta_(cta) {}

  void read(const Stamp& stamp, double us) {
    switch (stamp.event) {
      case Event::kStart:
        started_ = true;
        cta_.start_us = std::min(cta_.start_us, us);
        break;
      case Event::kPlanned:
        raise(cta_.planned_us, us);
        break;
      case Event::kFirstData:
        cta_.first_data_us = std::min(cta_.first_data_us.value_or(us), us);
        if (!has_data_) raise(cta_.all_data_us, us);
        has_data_ = true;
        break;
      case Event::kSegment:
        raise(cta_.last_segment_us, us);
        timeline_.tasks.push_back({stamp.launch, stamp.cta, stamp.warp, stamp.sm, stamp.row, stamp.kv_head,
                                   stamp.token_begin, stamp.token_end, last_us_, us});
        break;
      case Event::kArrived:
        raise(cta_.arrived_us, us);
        break;
      case Event::kJoined:
        raise(cta_.joined_us, us);
        break;
      case Event::kMerged:
        raise(cta_.merged_us, us);
        break;
      case Event::kExit:
        exited_ = true;
        cta_.exit_us = std::max(cta_.exit_us, us);
        break;
    }
    last_us_ = us;
  }
  [[nodiscard]] bool whole() const noexcept { return started_ && exited_; }

 private:
  StepTimeline& timeline_;
  CtaTimes& cta_;
  double last_us_ = 0.0;
  bool started_ = false;
  bool exited_ = false;
  bool has_data_ = false;
};

}  // namespace

StepTimeline make_timeline(const StampedRun& run) {
  if (run.stamps.empty()) throw InvalidArgument("a timeline has no stamps, must have at least a warp's start and exit");
  const SmClocks clocks(run.clocks);
  double zero_ns = std::numeric_limits<double>::infinity();
  std::map<WarpId, std::vector<Stamp>> warps;
  for (const Stamp& stamp : run.stamps) {
    warps[{stamp.launch, stamp.cta, stamp.warp}].push_back(stamp);
    if (stamp.event == Event::kStart) zero_ns = std::min(zero_ns, clocks.ns(stamp.sm, stamp.clock));
  }
  StepTimeline timeline;
  timeline.num_sms = run.num_sms;
  timeline.clock_error_us = clocks.max_error_ns() / 1e3;
  timeline.dropped = run.dropped;
  timeline.tasks.reserve(run.stamps.size());
  for (const auto& [id, stamps] : warps) {
    const auto [launch, cta, warp] = id;
    if (timeline.ctas.empty() || timeline.ctas.back().launch != launch || timeline.ctas.back().cta != cta) {
      CtaTimes times;
      times.launch = launch;
      times.cta = cta;
      times.sm = stamps.front().sm;
      times.start_us = std::numeric_limits<double>::infinity();
      timeline.ctas.push_back(times);
    }
    CtaTimes& times = timeline.ctas.back();
    WarpReader reader(timeline, times);
    for (const Stamp& stamp : stamps) reader.read(stamp, (clocks.ns(stamp.sm, stamp.clock) - zero_ns) / 1e3);
    if (!reader.whole()) {
      throw InvalidArgument(
          fmt::format("launch {}, CTA {}, warp {} has {} stamps and no start or no exit among them, must have both; {} "
                      "were dropped",
                      launch, cta, warp, stamps.size(), run.dropped));
    }
    timeline.duration_us = std::max(timeline.duration_us, times.exit_us);
    timeline.launches = std::max(timeline.launches, launch + 1);
  }
  return timeline;
}

}  // namespace pkv::timeline
