#pragma once

/// What every backend that carries out listed plans does first: the plan of a step, or the check of one that was given.

#include "persistentkv/core/step.hpp"
#include "persistentkv/plan/schedule.hpp"
#include "persistentkv/plan/work_plan.hpp"

namespace pkv {

/// The plan of `schedule` for a step that validate_rows() accepts, with lengths in host memory; coarse and padded
/// buckets take no more of a row than row_allocations(). Throws as make_plan() does.
[[nodiscard]] WorkPlan make_step_plan(const Step& step, Schedule schedule, const PlanOptions& options);

/// Throws InvalidArgument where `plan` is for another shape, batch or lengths than the step's, which are in host
/// memory.
void require_plan_of(const Step& step, const WorkPlan& plan);

}  // namespace pkv
