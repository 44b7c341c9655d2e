#pragma once

// Estimates, for callers that have looked up the fit themselves.

#include "persistentkv/policy/cost_model.hpp"

namespace pkv::detail {

/// A candidate's fit for one shape and dtype.
struct FittedRoute {
  Route route = Route::kStream;
  int splits = 0;
  const RouteFit& fit;
  const PlanFit* plan = nullptr;  ///< null: none
};

/// estimate_cost() of it, of options that check_options() has passed.
[[nodiscard]] CostEstimate estimate_by_fit(int num_sms, double caution, const FittedRoute& fitted,
                                           const PolicyInput& input, const StepSummary& step);

/// Throws InvalidArgument for options out of their bounds, as estimate_cost() does.
void check_options(const PolicyInput& input);

/// Pages of all rows and KV heads, in thousands, with a row's last page taken to be half full.
[[nodiscard]] inline double kilo_pages(const PolicyInput& input, const StepSummary& step) noexcept {
  return (static_cast<double>(step.kv_tokens) / input.page_size + static_cast<double>(step.active_rows) / 2) *
         input.step.shape.num_kv_heads / 1e3;
}

/// MiB of a (row, split, query head) state: a maximum, a sum and head_dim values, FP32.
[[nodiscard]] constexpr double state_mib(int head_dim) noexcept { return (2.0 + head_dim) * 4 / (1024.0 * 1024.0); }

/// MiB up to which kFirstKvMib and kMiddleKvMib count.
inline constexpr double kFirstMib = 64;
inline constexpr double kMiddleMib = 512;

}  // namespace pkv::detail
