#pragma once

// A step's timeline in results, and back.

#include "timeline/step_timeline.hpp"

#include <nlohmann/json.hpp>

namespace pkv::report {

/// What docs/results-format.md says of `timeline`.
[[nodiscard]] nlohmann::ordered_json timeline_json(const timeline::StepTimeline& timeline);

/// Throws InvalidArgument naming what is missing or not as it must be.
[[nodiscard]] timeline::StepTimeline timeline_from_json(const nlohmann::json& json);

}  // namespace pkv::report
