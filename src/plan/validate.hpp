#pragma once

#include "persistentkv/plan/work_plan.hpp"

namespace pkv::detail {

/// Throws InvalidArgument unless `parts` is a plan; see WorkPlan's constructor. Linear time.
void validate(const PlanParts& parts);

/// Bounds shared by plans and planners. Each throws InvalidArgument.
void validate_lengths(std::span<const std::int32_t> lengths);
void validate_tile_tokens(int tile_tokens);

}  // namespace pkv::detail
