#pragma once

// Who runs the steps of a serving run, or says how long they would take.

#include "persistentkv/batching/continuous_batcher.hpp"
#include "persistentkv/policy/router.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace pkv::serving {

struct StepTimes {
  Route route = Route::kStream;    ///< who ran it: never kPolicy
  double attention_us = 0.0;       ///< of one layer
  double plan_us = 0.0;            ///< on the host, once a step: choosing, validating, planning and preparing
  std::optional<double> limit_us;  ///< of the fastest reader of the step's pages, where it was asked for
  std::optional<double>
      model_attention_us;                ///< what a profile says of attention_us, where one that covers it was given
  std::optional<double> model_plan_us;   ///< and of plan_us
  std::optional<double> relative_error;  ///< worst L2 of a row and head against an oracle, where it was asked for
  bool executed = true;  ///< false: attention_us and plan_us are not of this step, but scaled from another's
};

/// What is wanted of a step beside its times.
struct StepAsk {
  bool limit = false;
  bool check = false;
};

/// How a route is told to cut; of kPolicy, every route that it chooses.
using PlanOptionsOf = std::function<PlanOptions(Route)>;

/// One route's: it may keep what it knows from one step to the next.
class StepExecutor {
 public:
  virtual ~StepExecutor() = default;
  StepExecutor(const StepExecutor&) = delete;
  StepExecutor& operator=(const StepExecutor&) = delete;

  /// Throws what its backend throws.
  [[nodiscard]] virtual StepTimes run(const StepView& step, const StepAsk& ask) = 0;

 protected:
  StepExecutor() = default;
};

/// What a machine brings to serving runs: its backends, and one layer's pages for all of them.
class ServingPlatform {
 public:
  virtual ~ServingPlatform() = default;
  ServingPlatform(const ServingPlatform&) = delete;
  ServingPlatform& operator=(const ServingPlatform&) = delete;

  /// Empty if somebody here has the route, else the reason. Somebody always has kPolicy.
  [[nodiscard]] virtual std::string why_not(Route route) const = 0;
  /// Throws Unsupported with that reason.
  [[nodiscard]] virtual std::unique_ptr<StepExecutor> executor(Route route) = 0;

  /// Who runs steps, for people.
  [[nodiscard]] virtual std::string name() const = 0;
  /// How the caches were before each step so far, for people.
  [[nodiscard]] virtual std::string cache_state() const = 0;

 protected:
  ServingPlatform() = default;
};

}  // namespace pkv::serving
