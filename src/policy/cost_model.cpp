#include "persistentkv/policy/cost_model.hpp"

#include "estimate.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/core/step.hpp"
#include "route_work.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

namespace pkv {

namespace {

constexpr double kMib = 1024.0 * 1024.0;

double us_of_mib(const CostConstants& cost, double mib) {
  const double ms_per_mib_at_1_gb_per_s = cost.time_units == TimeUnits::kPaper ? 1.0 : kMib / 1e6;
  return mib / cost.bandwidth_gb_per_s * ms_per_mib_at_1_gb_per_s * 1000.0;
}

void require_in_range(std::string_view name, std::int64_t value, std::int64_t low, std::int64_t high) {
  if (value < low || value > high)
    throw InvalidArgument(fmt::format("{} is {}, must be in [{}, {}]", name, value, low, high));
}

}  // namespace

std::int64_t StepSummary::value(StepQuantity quantity) const noexcept {
  switch (quantity) {
    case StepQuantity::kActiveRows:
      return active_rows;
    case StepQuantity::kLongestRowTokens:
      return longest_row_tokens;
    case StepQuantity::kKvTokens:
      return kv_tokens;
    case StepQuantity::kKvMib:
      break;
  }
  return static_cast<std::int64_t>(kv_mib);
}

StepSummary summarize(const PolicyInput& input) {
  const AttentionShape& shape = input.step.shape;
  const auto lengths = input.step.lengths;
  shape.validate();
  require_in_range("batch", static_cast<std::int64_t>(lengths.size()), 0, kMaxBatch);
  if (!input.step.capacity_tokens.empty() && input.step.capacity_tokens.size() != lengths.size()) {
    throw InvalidArgument(fmt::format("capacity_tokens has {} entries, must have batch = {} or none",
                                      input.step.capacity_tokens.size(), lengths.size()));
  }
  StepSummary step;
  for (std::size_t row = 0; row < lengths.size(); ++row) {
    const std::int64_t tokens = lengths[row];
    if (tokens <= 0) continue;
    if (tokens > kMaxRowTokens)
      throw InvalidArgument(fmt::format("lengths[{}] is {}, must be at most {} tokens", row, tokens, kMaxRowTokens));
    step.shortest_row_tokens = step.active_rows == 0 ? tokens : std::min(step.shortest_row_tokens, tokens);
    step.longest_row_tokens = std::max(step.longest_row_tokens, tokens);
    step.kv_tokens += tokens;
    ++step.active_rows;
  }
  step.kv_mib =
      static_cast<double>(step.kv_tokens) * shape.num_kv_heads * shape.head_dim * 2 * size_bytes(input.dtype) / kMib;
  return step;
}

void detail::check_options(const PolicyInput& input) {
  require_in_range("tile_tokens", input.options.tile_tokens, 1, kMaxRowTokens);
  require_in_range("bucket_tokens", input.options.bucket_tokens, 1, kMaxRowTokens);
  require_in_range("splits", input.options.splits, 0, 1 << 16);
  require_in_range("num_workers", input.options.num_workers, 0, kMaxRowTokens);
  require_in_range("page_size", input.page_size, 1, kMaxRowTokens);
  require_in_range("layers_per_plan", input.layers_per_plan, 0, 1 << 16);
}

namespace {

double merge_mib(const detail::RouteWork& work, const PolicyInput& input) {
  return work.states * detail::state_mib(input.step.shape.head_dim);
}

CostEstimate estimate_by_formula(const DeviceProfile& profile, Route route, int splits, const PolicyInput& input,
                                 const StepSummary& step) {
  const CostConstants& cost = profile.cost;
  const detail::RouteWork work = detail::formula_work(profile, route, splits, input, step);
  CostEstimate estimate;
  estimate.ctas_per_sm = work.ctas / profile.num_sms;
  estimate.launches = work.launches;
  estimate.splits = work.splits;
  estimate.merge_mib = merge_mib(work, input);
  estimate.kv_us = us_of_mib(cost, step.kv_mib);
  if (work.ctas > 0) estimate.underfill = std::max(1.0, cost.min_ctas_per_sm / estimate.ctas_per_sm);
  estimate.launch_us = work.launches * cost.launch_us;
  estimate.merge_us = us_of_mib(cost, estimate.merge_mib);
  estimate.total_us = estimate.kv_us * estimate.underfill + estimate.launch_us + estimate.merge_us;
  estimate.cautious_us = estimate.total_us;
  return estimate;
}

CostTerms terms_of(const detail::RouteWork& work, double slots, const PolicyInput& input, const StepSummary& step) {
  const auto rows = static_cast<double>(step.active_rows);
  CostTerms terms{};
  at(terms, CostTerm::kConstant) = 1;
  at(terms, CostTerm::kExtraLaunch) = std::max(0, work.launches - 1);
  at(terms, CostTerm::kKvMib) = step.kv_mib;
  at(terms, CostTerm::kFirstKvMib) = std::min(step.kv_mib, detail::kFirstMib);
  at(terms, CostTerm::kMiddleKvMib) = std::min(step.kv_mib, detail::kMiddleMib);
  at(terms, CostTerm::kKiloPages) = detail::kilo_pages(input, step);
  at(terms, CostTerm::kTailKtokens) = work.tail_tokens / 1e3;
  at(terms, CostTerm::kIdleKtokens) = work.idle_tokens / 1e3;
  at(terms, CostTerm::kWaveKtokens) = work.wave_tokens / 1e3;
  at(terms, CostTerm::kTasksPerSlot) = work.ctas / slots;
  at(terms, CostTerm::kMergeMib) = merge_mib(work, input);
  at(terms, CostTerm::kMergeDepth) = work.depth;
  at(terms, CostTerm::kKiloRows) = rows / 1e3;
  return terms;
}

int splits_of(int candidate_splits, const PolicyInput& input) {
  return input.options.splits > 0 ? input.options.splits : candidate_splits;
}

}  // namespace

CostEstimate detail::estimate_by_fit(int num_sms, double caution, const FittedRoute& fitted, const PolicyInput& input,
                                     const StepSummary& step) {
  const RouteFit& fit = fitted.fit;
  const double slots = num_sms * fit.resident_ctas_per_sm;
  const RouteWork work = fitted_work(num_sms, slots, fitted.route, splits_of(fitted.splits, input), input, step);
  CostEstimate estimate;
  estimate.is_fitted = true;
  estimate.ctas_per_sm = work.ctas / num_sms;
  estimate.launches = work.launches;
  estimate.splits = work.splits;
  estimate.merge_mib = merge_mib(work, input);
  estimate.terms_us = terms_of(work, slots, input, step);
  for (std::size_t i = 0; i < kNumCostTerms; ++i) {
    estimate.terms_us[i] *= fit.us[i];
    estimate.total_us += estimate.terms_us[i];
  }
  if (fitted.plan != nullptr && input.layers_per_plan > 0) {
    const PlanFit& plan = *fitted.plan;
    estimate.plan_us = (plan.step_us + plan.row_us * static_cast<double>(step.active_rows) + plan.task_us * work.ctas) /
                       input.layers_per_plan;
    estimate.total_us += estimate.plan_us;
  }
  estimate.cautious_us = estimate.total_us * (1 + caution * fit.error.mean);
  return estimate;
}

CostEstimate estimate_cost(const DeviceProfile& profile, const RouteCandidate& candidate, const PolicyInput& input,
                           const StepSummary& step) {
  detail::check_options(input);
  const AttentionShape& shape = input.step.shape;
  if (const RouteFit* fit = candidate.fit(shape.group_size(), shape.head_dim, input.dtype))
    return detail::estimate_by_fit(
        profile.num_sms, profile.caution,
        {candidate.route, candidate.splits, *fit, candidate.plan ? &*candidate.plan : nullptr}, input, step);
  return estimate_by_formula(profile, candidate.route, splits_of(candidate.splits, input), input, step);
}

CostEstimate estimate_cost(const DeviceProfile& profile, Route route, const PolicyInput& input,
                           const StepSummary& step) {
  if (const RouteCandidate* candidate = profile.candidate(route))
    return estimate_cost(profile, *candidate, input, step);
  detail::check_options(input);
  return estimate_by_formula(profile, route, input.options.splits, input, step);
}

StepFeatures step_features(int num_sms, double resident_ctas_per_sm, Route route, int splits, const PolicyInput& input,
                           const StepSummary& step) {
  detail::check_options(input);
  const double slots = num_sms * resident_ctas_per_sm;
  const detail::RouteWork work = detail::fitted_work(num_sms, slots, route, splits_of(splits, input), input, step);
  return {terms_of(work, slots, input, step), work.ctas};
}

}  // namespace pkv
