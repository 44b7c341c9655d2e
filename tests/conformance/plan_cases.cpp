#include "conformance/execute.hpp"
#include "conformance/random_plan.hpp"
#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pkv::conformance {

namespace {

ProblemSpec ragged() {
  ProblemSpec spec;
  spec.shape = {.num_q_heads = 6, .num_kv_heads = 2, .head_dim = 64};
  spec.lengths = {0, 1, 31, 32, 33, 250, 129, -3, 16};
  return spec;
}

/// Runs `body` with a problem, where any plan is taken.
void with_any_plan(Context& context, const ProblemSpec& spec, const std::function<void(Problem&)>& body) {
  if (const std::string reason = why_not(context, spec); !reason.empty()) return context.skip(reason);
  if (!context.backend->capabilities().any_plan) return context.skip("capabilities().any_plan is false");
  Problem problem(spec, context.random.bits());
  body(problem);
}

void check_random_plans(Context& context) {
  with_any_plan(context, ragged(), [&](Problem& problem) {
    for (const int tile_tokens : {1, 8, 16, 32, 48, 512}) {
      for (int i = 0; i < 4; ++i) {
        const WorkPlan plan(random_plan(problem.step(), tile_tokens, context.random));
        const auto prepared = context.backend->prepare(problem.step(), plan);
        check_run(context, *prepared, problem, &plan, describe(plan, 200));
      }
    }
  });
}

/// Dropping any one segment leaves no valid plan, so that no backend can be given one.
void check_dropped_segments(Context& context) {
  with_any_plan(context, ragged(), [&](Problem& problem) {
    const PlanParts parts = random_plan(problem.step(), 16, context.random);
    for (std::size_t drop = 0; drop < parts.segments.size(); ++drop) {
      PlanParts fewer = parts;
      fewer.segments.erase(fewer.segments.begin() + static_cast<std::ptrdiff_t>(drop));
      for (std::int32_t& offset : fewer.worker_offsets) offset -= offset > static_cast<std::int32_t>(drop) ? 1 : 0;
      ++context.ran;
      try {
        (void)context.backend->prepare(problem.step(), WorkPlan(std::move(fewer)));
      } catch (const InvalidArgument&) {
        continue;
      }
      throw Failure(fmt::format("a plan without segment {} was taken", drop));
    }
  });
}

void refuse(Context& context, const Step& step, const WorkPlan& plan, const std::string& what) {
  ++context.ran;
  try {
    (void)context.backend->prepare(step, plan);
  } catch (const InvalidArgument&) {
    return;
  }
  throw Failure(fmt::format("a plan for another {} was taken", what));
}

void check_foreign_plans(Context& context) {
  with_any_plan(context, ragged(), [&](Problem& problem) {
    const auto plan_for = [&](const ProblemSpec& spec) {
      const StepData data(spec, context.random.bits());
      return WorkPlan(random_plan(data.step(), 16, context.random));
    };
    ProblemSpec other = ragged();
    other.lengths[5] += 1;  // within the same tile
    refuse(context, problem.step(), plan_for(other), "length");
    other.lengths.pop_back();
    refuse(context, problem.step(), plan_for(other), "batch");
    other = ragged();
    other.lengths.push_back(0);
    refuse(context, problem.step(), plan_for(other), "batch with an empty row more");
    other = ragged();
    other.shape.num_q_heads *= 2;
    refuse(context, problem.step(), plan_for(other), "group size");
    other = ragged();
    other.shape.num_kv_heads = 1;
    refuse(context, problem.step(), plan_for(other), "number of KV heads");
    other = ragged();
    other.shape.head_dim *= 2;
    refuse(context, problem.step(), plan_for(other), "head_dim");
  });
}

void check_plans_declared(Context& context) {
  if (context.backend->capabilities().any_plan) return check_random_plans(context);
  const ProblemSpec spec = ragged();
  const StepData data(spec, context.random.bits());
  ++context.ran;
  try {
    (void)context.backend->prepare(data.step(), WorkPlan(random_plan(data.step(), 16, context.random)));
  } catch (const Unsupported&) {
    return;
  }
  throw Failure("capabilities().any_plan is false, but prepare(step, plan) did not throw Unsupported");
}

}  // namespace

void add_plan_cases(std::vector<Case>& cases) {
  cases.push_back({"Plan/AnyPartitionGivesTheSame", check_plans_declared});
  cases.push_back({"Plan/DroppedSegmentsAreRefused", check_dropped_segments});
  cases.push_back({"Plan/ForeignPlansAreRefused", check_foreign_plans});
}

}  // namespace pkv::conformance
