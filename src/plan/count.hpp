#pragma once

#include "persistentkv/plan/work_plan.hpp"

namespace pkv::detail {

/// The counters of parts that have been validated.
[[nodiscard]] PlanCounters count(const PlanParts& parts);

}  // namespace pkv::detail
