#pragma once

// All steps of a run, by all routes, in every window.

#include "accuracy.hpp"
#include "bench.hpp"
#include "persistentkv/trace/paper_runs.hpp"

#include <array>
#include <functional>
#include <string>
#include <vector>

namespace pkv::reproduce {

/// Means over the steps of what WindowTimes are medians of.
struct RouteTimes {
  RouteSpec spec;
  std::string why_not = {};  ///< not empty: it was not run, and nothing below means anything
  WindowTimes fair = {};
  WindowTimes paper = {};                                     ///< as the paper timed
  double layer_us = 0.0;                                      ///< the layer alone
  std::array<std::int64_t, kRunnableRoutes.size()> chosen{};  ///< of the policy: steps by route
  Errors against_flashinfer = {};
  Errors against_fp64 = {};

  [[nodiscard]] bool ran() const noexcept { return why_not.empty(); }
};

struct TraceTimes {
  std::string workload;
  std::uint32_t seed = 0;
  AttentionShape shape;
  std::int64_t max_active = 0;
  std::int64_t steps = 0;
  double kv_bytes = 0.0;  ///< a step, useful
  double limit_us = 0.0;  ///< mean over the steps
  std::vector<RouteTimes> routes;

  /// The first of that route, or null where there is none that ran.
  [[nodiscard]] const RouteTimes* find(Route route) const noexcept;
};

struct TraceRequest {
  const PaperRun* run = nullptr;
  std::uint32_t seed = 0;
  AttentionShape shape;
  std::vector<RouteSpec> routes;
  std::int64_t max_steps = 0;  ///< 0: the paper's
  int repeats = 7;             ///< windows a step
  int check_every = 16;        ///< steps from one comparison with FlashInfer to the next; one row in FP64 at the first
};

/// Routes begin each step in another order. `progress` is called after each step.
[[nodiscard]] TraceTimes measure_trace(Bench& bench, const TraceRequest& request,
                                       const std::function<void()>& progress = {});

}  // namespace pkv::reproduce
