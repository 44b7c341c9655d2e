#pragma once

// Measured times of steps: what fits are made of, and what choices are judged by.

#include "persistentkv/policy/router.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace pkv::fit {

/// One layer of one step on one route.
struct RouteTimes {
  Choice choice;
  double plan_us = 0;  ///< on the host, once a step
  std::vector<double>
      time_us;  ///< of each repetition, in the order in which they were made; none: it does not run here
};

/// One step on every route that was tried.
struct StepSample {
  std::string workload;
  AttentionShape shape;
  DType dtype = DType::kF16;
  int page_size = 16;
  std::vector<std::int32_t> lengths;  ///< [batch] tokens
  std::vector<RouteTimes> routes;

  /// The times of that choice, or null where it was not tried or does not run.
  [[nodiscard]] const RouteTimes* find(const Choice& choice) const noexcept;

  /// What the policy is asked. Borrows from this.
  [[nodiscard]] PolicyInput input(int layers_per_plan) const;
};

[[nodiscard]] double median(std::vector<double> values);

/// What a layer of a step costs: the median of `times`, and its part of the planning.
[[nodiscard]] double cost_us(std::span<const double> times, double plan_us, int layers_per_plan);

}  // namespace pkv::fit
