#pragma once

// A step's time in a few numbers.

#include "step_timeline.hpp"

#include <string_view>
#include <vector>

namespace pkv::timeline {

/// When the CTAs of one launch got to a milestone.
struct Phase {
  int launch = 0;
  std::string_view name;
  int ctas = 0;  ///< that got there
  double min_us = 0.0;
  double median_us = 0.0;
  double max_us = 0.0;
  int last_sm = 0;  ///< where it was latest
  int last_cta = 0;
};

/// Milestones that at least one CTA got to, by launch and in the order of a CTA's life.
[[nodiscard]] std::vector<Phase> phases(const StepTimeline& timeline);

/// What the SMs did, as shares of num_sms * duration_us, which add up to 1. KV is in flight on an SM while a warp of it
/// is between its plan and the end of its last segment.
struct SmShares {
  double before = 0.0;     ///< the first plan of the SM is not made yet
  double in_flight = 0.0;  ///< KV is in flight
  double between = 0.0;    ///< no longer, but again later
  double after = 0.0;      ///< no more of it
  double unused = 0.0;     ///< SMs that read nothing at all
};

[[nodiscard]] SmShares sm_shares(const StepTimeline& timeline);

/// From `us` on, until the next.
struct ReadingSms {
  double us = 0.0;
  int sms = 0;  ///< that have KV in flight
};

/// From 0 to the step's end.
[[nodiscard]] std::vector<ReadingSms> reading_sms(const StepTimeline& timeline);

}  // namespace pkv::timeline
