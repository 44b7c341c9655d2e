#pragma once

/// What a step should cost on each route, from its structure alone. Profiles that calibration wrote have fitted
/// coefficients (route_fit.hpp), and predict times; for all others there is the paper's formula:
///
///   T = KV_MiB / beta * max(1, C_min / C) + L * lambda + Merge_MiB / beta
///
/// (arXiv 2606.26666, section on the cost model.) C is the route's decode CTAs for each SM, L its launches, merge bytes
/// are (row, split, query head) states of 2 + head_dim floats, counted once. The formula ranks routes; it does not
/// predict times: it knows nothing of how good a kernel is.

#include "persistentkv/core/dtype.hpp"
#include "persistentkv/plan/planner.hpp"
#include "persistentkv/policy/device_profile.hpp"

#include <cstdint>
#include <string_view>

namespace pkv {

/// What a choice depends on.
struct PolicyInput {
  PlanInput step;
  DType dtype = DType::kF16;
  PlanOptions options;           ///< the run's. splits > 0 goes before the profile's, for every schedule of ours
  std::string_view device_name;  ///< of the device that will run it; empty: not compared with the profile's
  int page_size = 16;            ///< tokens; only fitted profiles look at it
  int layers_per_plan = 32;      ///< layers that share what the host plans: a fitted profile adds a layer's part of the
                                 ///< planning to its time; 0: planning is not counted
};

/// A step in a few numbers. O(batch), no allocation.
struct StepSummary {
  std::int64_t active_rows = 0;          ///< rows with at least one token
  std::int64_t kv_tokens = 0;            ///< sum of lengths
  std::int64_t shortest_row_tokens = 0;  ///< of the active rows
  std::int64_t longest_row_tokens = 0;
  double kv_mib = 0;  ///< useful K and V: kv_tokens * Hkv * head_dim * 2 * size of an element

  [[nodiscard]] std::int64_t value(StepQuantity quantity) const noexcept;
};

/// Throws InvalidArgument for a bad shape, a length over kMaxRowTokens or a batch over kMaxBatch.
[[nodiscard]] StepSummary summarize(const PolicyInput& input);

struct CostEstimate {
  double total_us = 0;  ///< of one layer: kv_us * underfill + launch_us + merge_us, or the sum of terms_us and plan_us
  double cautious_us = 0;  ///< what routes are compared by: total_us, more where a fit's error is large

  // By the formula; 0 (underfill 1) where the estimate is fitted.
  double kv_us = 0;      ///< KV_MiB / beta, with the bandwidth full
  double underfill = 1;  ///< max(1, C_min / C): how many times longer for lack of CTAs
  double launch_us = 0;
  double merge_us = 0;

  bool is_fitted = false;
  CostTerms terms_us{};  ///< fitted: what each term adds
  double plan_us = 0;    ///< fitted: planning on the host, this layer's part of it

  double ctas_per_sm = 0;  ///< C
  int launches = 0;        ///< L
  int splits = 1;          ///< the largest row's; 0 for `stream`, which has no such number
  double merge_mib = 0;
};

/// The estimate for a step that `summarize` gave `summary` for. No allocation, but for the two bucket routes above 512
/// rows. Fitted where the candidate has a fit for the step's shape and dtype, else by the formula. Where the run leaves
/// options.num_workers at 0, the formula takes `stream` to launch C_min CTAs for each SM, and a fit one for each.
/// Throws InvalidArgument for kPolicy, and for options out of their bounds.
[[nodiscard]] CostEstimate estimate_cost(const DeviceProfile& profile, const RouteCandidate& candidate,
                                         const PolicyInput& input, const StepSummary& summary);

/// The same for the profile's first candidate of that route; a route that is none is estimated by the formula.
[[nodiscard]] CostEstimate estimate_cost(const DeviceProfile& profile, Route route, const PolicyInput& input,
                                         const StepSummary& summary);

/// What a fit multiplies: the terms of a step on a route in `splits` splits (0: by the schedule's rule; options.splits
/// go first), and the tasks that the host lists for it. Throws as estimate_cost does.
struct StepFeatures {
  CostTerms terms{};
  double tasks = 0;
};
[[nodiscard]] StepFeatures step_features(int num_sms, double resident_ctas_per_sm, Route route, int splits,
                                         const PolicyInput& input, const StepSummary& summary);

}  // namespace pkv
