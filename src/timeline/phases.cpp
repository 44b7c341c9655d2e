#include "phases.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace pkv::timeline {

namespace {

struct Milestone {
  std::string_view name;
  std::optional<double> (*us)(const CtaTimes&);
};

constexpr Milestone kMilestones[] = {
    {"start", [](const CtaTimes& c) { return std::optional(c.start_us); }},
    {"plan made", [](const CtaTimes& c) { return c.planned_us; }},
    {"first data", [](const CtaTimes& c) { return c.first_data_us; }},
    {"data for all warps", [](const CtaTimes& c) { return c.all_data_us; }},
    {"last segment done", [](const CtaTimes& c) { return c.last_segment_us; }},
    {"barrier", [](const CtaTimes& c) { return c.arrived_us; }},
    {"joined", [](const CtaTimes& c) { return c.joined_us; }},
    {"merged", [](const CtaTimes& c) { return c.merged_us; }},
    {"exit", [](const CtaTimes& c) { return std::optional(c.exit_us); }},
};

using Interval = std::pair<double, double>;

/// When each SM has KV in flight: disjoint intervals in their order.
std::map<int, std::vector<Interval>> reading_intervals(const StepTimeline& timeline) {
  std::map<int, std::vector<Interval>> reading;
  for (const CtaTimes& cta : timeline.ctas)
    if (cta.planned_us && cta.last_segment_us) reading[cta.sm].emplace_back(*cta.planned_us, *cta.last_segment_us);
  for (auto& [sm, intervals] : reading) {
    std::sort(intervals.begin(), intervals.end());
    std::vector<Interval> joined;
    for (const Interval& interval : intervals) {
      if (!joined.empty() && interval.first <= joined.back().second)
        joined.back().second = std::max(joined.back().second, interval.second);
      else
        joined.push_back(interval);
    }
    intervals = std::move(joined);
  }
  return reading;
}

}  // namespace

std::vector<Phase> phases(const StepTimeline& timeline) {
  std::vector<Phase> found;
  for (int launch = 0; launch < timeline.launches; ++launch) {
    for (const Milestone& milestone : kMilestones) {
      std::vector<std::pair<double, const CtaTimes*>> times;
      for (const CtaTimes& cta : timeline.ctas) {
        const std::optional<double> us = cta.launch == launch ? milestone.us(cta) : std::nullopt;
        if (us) times.emplace_back(*us, &cta);
      }
      if (times.empty()) continue;
      std::sort(times.begin(), times.end());
      found.push_back({launch, milestone.name, static_cast<int>(times.size()), times.front().first,
                       times[times.size() / 2].first, times.back().first, times.back().second->sm,
                       times.back().second->cta});
    }
  }
  return found;
}

SmShares sm_shares(const StepTimeline& timeline) {
  const std::map<int, std::vector<Interval>> reading = reading_intervals(timeline);
  SmShares shares;
  const double whole = timeline.duration_us * timeline.num_sms;
  if (!(whole > 0.0)) return shares;
  for (const auto& [sm, intervals] : reading) {
    shares.before += intervals.front().first / whole;
    double end = intervals.front().first;
    for (const auto& [from, to] : intervals) {
      shares.between += (from - end) / whole;
      shares.in_flight += (to - from) / whole;
      end = to;
    }
    shares.after += (timeline.duration_us - end) / whole;
  }
  shares.unused = 1.0 - static_cast<double>(reading.size()) / timeline.num_sms;
  return shares;
}

std::vector<ReadingSms> reading_sms(const StepTimeline& timeline) {
  std::map<double, int> changes{{0.0, 0}, {timeline.duration_us, 0}};
  for (const auto& [sm, intervals] : reading_intervals(timeline)) {
    for (const auto& [from, to] : intervals) {
      ++changes[from];
      --changes[to];
    }
  }
  std::vector<ReadingSms> found;
  found.reserve(changes.size());
  int sms = 0;
  for (const auto& [us, change] : changes) found.push_back({us, sms += change});
  return found;
}

}  // namespace pkv::timeline
