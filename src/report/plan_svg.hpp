#pragma once

// A plan as a picture: who reads what, and who waits.

#include "persistentkv/plan/work_plan.hpp"

#include <string>

namespace pkv::report {

struct TimelineOptions {
  int lanes = 28;                ///< CTAs that run at once, e.g. SMs; in [1, 512]
  int segment_cost_tokens = 32;  ///< what beginning a segment is drawn as
};

/// An SVG timeline. CTAs start in order, each on the lane that is free first, as a GPU's would; a launch begins when
/// the one before it has ended. The horizontal axis is tokens read, the colour is the row, a dark bar a merge. Throws
/// InvalidArgument for lanes out of bounds.
[[nodiscard]] std::string plan_timeline_svg(const WorkPlan& plan, const TimelineOptions& options);

}  // namespace pkv::report
