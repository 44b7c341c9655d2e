#pragma once

// One problem, prepared, run and compared.

#include "conformance/expectation.hpp"
#include "conformance/problem.hpp"
#include "conformance/suite.hpp"
#include "persistentkv/plan/work_plan.hpp"

#include <optional>
#include <string>

namespace pkv::conformance {

/// A problem with one layer and what the oracle says of it.
struct Problem {
  Problem(const ProblemSpec& of, std::uint64_t seed)
      : spec(of),
        step_data(of, seed),
        layer_data(of, step_data.step(), seed + 1),
        expectation(step_data.step(), layer_data) {}

  [[nodiscard]] const Step& step() const noexcept { return step_data.step(); }

  ProblemSpec spec;
  StepData step_data;
  LayerData layer_data;
  Expectation expectation;
};

/// Why the subject cannot take the problem; counts the skip. Empty where it can.
[[nodiscard]] std::string why_not(const Context& context, const ProblemSpec& spec);

/// A route and how to cut, where it is a schedule.
struct Cut {
  Route route = Route::kWorkqueue;
  PlanOptions options;

  friend std::string to_string(const Cut& cut);
};

/// The route with a number of splits, workers and so on that is drawn anew.
[[nodiscard]] Cut random_cut(Route route, int tile_tokens, Random& random);

/// The plan that the cut stands for; nothing for a route with plans of the backend's own. Its options must name a
/// number of workers.
[[nodiscard]] std::optional<WorkPlan> plan_of(const Step& step, const Cut& cut);

/// Runs a layer that is uploaded anew with poisoned outputs, and downloads the outputs into `data`.
void run_layer(Context& context, PreparedStep& prepared, LayerData& data);

/// Throws Failure, saying what `how` was, where outputs disagree with the oracle or counters with the plan.
void check_run(Context& context, PreparedStep& prepared, Problem& problem, const WorkPlan* plan,
               const std::string& how);

/// Prepares the problem for the cut and checks a run.
void check_cut(Context& context, Problem& problem, const Cut& cut);

}  // namespace pkv::conformance
