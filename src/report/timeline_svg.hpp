#pragma once

// Steps as they ran, drawn one above the other on one axis of time.

#include "timeline/step_timeline.hpp"

#include <string>
#include <vector>

namespace pkv::report {

struct TitledTimeline {
  std::string title;
  const timeline::StepTimeline* timeline = nullptr;
};

/// A lane is an SM, those that stop first at the top; a colour is a row, a shade a KV head; light grey is a CTA that
/// reads nothing, dark is joining and merging.
[[nodiscard]] std::string step_timeline_svg(const std::vector<TitledTimeline>& timelines);

}  // namespace pkv::report
