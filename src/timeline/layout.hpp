#pragma once

// A timeline as bars on lanes, for whoever draws it.

#include "step_timeline.hpp"

#include <string>
#include <vector>

namespace pkv::timeline {

struct Bar {
  enum class Kind {
    kCta,   ///< a CTA from its start to its exit, below all else
    kTask,  ///< a warp at a segment
    kJoin,  ///< from the last warp's arrival at the barrier to the exit; all of a CTA that only merges
  };
  Kind kind = Kind::kCta;
  double begin_us = 0.0;
  double end_us = 0.0;
  double top = 0.0;  ///< in lanes from above: lane l is [l, l + 1)
  double bottom = 0.0;
  int row = 0;  ///< of kTask
  int kv_head = 0;
  std::string text;  ///< all about it
};

struct Layout {
  std::vector<int> sm_of_lane;  ///< those that stop first come first; then who did nothing is at the top
  std::vector<Bar> bars;        ///< in the order of drawing
};

/// A lane is an SM; CTAs that it holds at the same time are side by side in it, and so are the warps of each.
[[nodiscard]] Layout lay_out(const StepTimeline& timeline);

}  // namespace pkv::timeline
