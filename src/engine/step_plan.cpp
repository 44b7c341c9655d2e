#include "persistentkv/engine/step_plan.hpp"

#include "persistentkv/core/error.hpp"
#include "persistentkv/core/step_rows.hpp"
#include "persistentkv/plan/planner.hpp"

#include <fmt/format.h>

#include <vector>

namespace pkv {

WorkPlan make_step_plan(const Step& step, Schedule schedule, const PlanOptions& options) {
  const std::vector<std::int32_t> lengths = row_lengths(step);
  std::vector<std::int32_t> allocations;  // read by those who round up: a wide table is long to look through
  if (schedule == Schedule::kCoarseBuckets || schedule == Schedule::kPaddedBucket) allocations = row_allocations(step);
  return make_plan(schedule, {step.shape, lengths, allocations}, options);
}

void require_plan_of(const Step& step, const WorkPlan& plan) {
  const AttentionShape& shape = step.shape;
  if (plan.num_q_heads() != shape.num_q_heads || plan.num_kv_heads() != shape.num_kv_heads ||
      plan.head_dim() != shape.head_dim) {
    throw InvalidArgument(fmt::format("plan is for {} query heads, {} KV heads of {}, must be the step's {}, {} and {}",
                                      plan.num_q_heads(), plan.num_kv_heads(), plan.head_dim(), shape.num_q_heads,
                                      shape.num_kv_heads, shape.head_dim));
  }
  if (plan.batch() != step.batch)
    throw InvalidArgument(fmt::format("plan is for a batch of {}, must be the step's, {}", plan.batch(), step.batch));
  for (int row = 0; row < plan.batch(); ++row) {
    const std::int32_t length = plan.lengths()[static_cast<std::size_t>(row)];
    if (length != step.lengths.at(row)) {
      throw InvalidArgument(
          fmt::format("plan has length {} for row {}, must be the step's, {}", length, row, step.lengths.at(row)));
    }
  }
}

}  // namespace pkv
