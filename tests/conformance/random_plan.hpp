#pragma once

// Plans that no schedule would make.

#include "conformance/random.hpp"
#include "persistentkv/core/step.hpp"
#include "persistentkv/plan/work_plan.hpp"

namespace pkv::conformance {

/// A valid plan of the step with random cuts, in random order, on random workers, in random launches, with partials in
/// random slots, and merges both fused and launched.
[[nodiscard]] PlanParts random_plan(const Step& step, int tile_tokens, Random& random);

}  // namespace pkv::conformance
