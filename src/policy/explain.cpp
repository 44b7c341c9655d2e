#include "persistentkv/policy/router.hpp"
#include "rules.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

namespace pkv {

namespace {

using detail::contains;

std::string why_no_fit(const PolicyInput& input) {
  const AttentionShape& shape = input.step.shape;
  return fmt::format("no fit for group size {}, head_dim {} and {} together", shape.group_size(), shape.head_dim,
                     to_string(input.dtype));
}

std::string why_not_covered(const DeviceProfile& profile, const PolicyInput& input) {
  const AttentionShape& shape = input.step.shape;
  if (!contains(profile.group_sizes, shape.group_size())) {
    return fmt::format("calibrated group sizes: num_q_heads / num_kv_heads is {}, must be one of {}",
                       shape.group_size(), fmt::join(profile.group_sizes, ", "));
  }
  if (!contains(profile.head_dims, shape.head_dim)) {
    return fmt::format("calibrated head_dims: head_dim is {}, must be one of {}", shape.head_dim,
                       fmt::join(profile.head_dims, ", "));
  }
  if (contains(profile.dtypes, input.dtype) && !input.device_name.empty() && input.device_name != profile.device_name)
    return fmt::format("calibrated device: device is {}, must be {}", input.device_name, profile.device_name);
  if (contains(profile.dtypes, input.dtype)) return why_no_fit(input);
  std::vector<std::string_view> names;
  names.reserve(profile.dtypes.size());
  for (const DType dtype : profile.dtypes) names.push_back(to_string(dtype));
  return fmt::format("calibrated dtypes: dtype is {}, must be one of {}", to_string(input.dtype),
                     fmt::join(names, ", "));
}

std::string why_gated(const Gate& gate, const StepSummary& step) {
  const std::int64_t value = step.value(gate.quantity);
  const bool below = gate.min && value < *gate.min;
  return fmt::format("{}: {} is {}, must be at {} {}", gate.name, to_string(gate.quantity), value,
                     below ? "least" : "most", (below ? gate.min : gate.max).value_or(value));
}

std::string label(const RouteVerdict& verdict) {
  if (verdict.splits == 0) return std::string(to_string(verdict.route));
  return fmt::format("{}/{}", to_string(verdict.route), verdict.splits);
}

std::string reason_for(const Decision& decision, const std::string& not_covered, const RouteOffer& offer,
                       double margin) {
  if (!not_covered.empty()) return fmt::format("{}: {}", to_string(Grounds::kNotCovered), not_covered);
  std::vector<const RouteVerdict*> standing;
  bool all_offered = true;
  for (const RouteVerdict& verdict : decision.routes) {
    if (verdict.ruled_out_by.empty()) standing.push_back(&verdict);
    all_offered = all_offered && offer.routes.contains(verdict.route);
  }
  if (standing.empty())
    return fmt::format("the safe route: the gates rule out every candidate{}", all_offered ? "" : " that is offered");
  if (standing.size() == 1)
    return fmt::format("the only candidate that the gates leave{}", all_offered ? "" : " of those offered");
  std::string others;
  double chosen_us = 0, chosen_cautious_us = 0, least_cautious_us = standing.front()->estimate.cautious_us;
  for (const RouteVerdict* verdict : standing) {
    const CostEstimate& estimate = verdict->estimate;
    least_cautious_us = std::min(least_cautious_us, estimate.cautious_us);
    if (verdict->chosen) {
      chosen_us = estimate.total_us;
      chosen_cautious_us = estimate.cautious_us;
    } else {
      others += fmt::format("{}{} {:.1f}", others.empty() ? "" : ", ", label(*verdict), estimate.total_us);
    }
  }
  if (least_cautious_us < chosen_cautious_us) {
    return fmt::format("the safe route, {:.1f} us, which no estimate is below by the margin of {:.1f} % ({})",
                       chosen_us, margin * 100, others);
  }
  return fmt::format("{}, {:.1f} us ({})", to_string(Grounds::kEstimate), chosen_us, others);
}

}  // namespace

Decision Router::explain(const PolicyInput& input, const RouteOffer& offer) const {
  Decision decision;
  decision.profile = profile_.name;
  decision.step = summarize(input);
  decision.choice = detail::rule(profile_, input, decision.step, offer).choice;
  const std::string not_covered = detail::covers(profile_, input) ? std::string() : why_not_covered(profile_, input);

  bool chosen = false;
  const auto add = [&](const RouteCandidate& candidate, std::string ruled_out_by) {
    const Choice choice = detail::choice_of(candidate.route, candidate.splits, input);
    const bool is_chosen = !chosen && choice == decision.choice;
    chosen = chosen || is_chosen;
    decision.routes.push_back({candidate.route, choice.splits, estimate_cost(profile_, candidate, input, decision.step),
                               is_chosen, std::move(ruled_out_by)});
    return is_chosen;
  };
  for (const RouteCandidate& candidate : profile_.candidates) {
    const Gate* gate = detail::failed_gate(profile_, candidate.route, decision.step);
    if (!offer.routes.contains(candidate.route)) {
      add(candidate, "nobody offers it");
    } else if (!not_covered.empty()) {
      if (add(candidate, not_covered)) decision.routes.back().ruled_out_by.clear();
    } else if (!detail::estimates(candidate, input)) {
      add(candidate, why_no_fit(input));
    } else {
      add(candidate, gate != nullptr ? why_gated(*gate, decision.step) : std::string());
    }
  }
  for (const Route route : kRunnableRoutes)
    if (profile_.candidate(route) == nullptr) add(RouteCandidate{route}, "not a candidate of this profile");
  decision.reason = reason_for(decision, not_covered, offer, profile_.margin);
  return decision;
}

namespace {

/// The terms that any of the routes pays for, a column each.
std::string fitted_table(const Decision& decision) {
  std::vector<CostTerm> terms;
  for (const CostTerm term : kAllCostTerms) {
    const auto pays = [&](const RouteVerdict& verdict) { return at(verdict.estimate.terms_us, term) > 0; };
    if (std::any_of(decision.routes.begin(), decision.routes.end(), pays)) terms.push_back(term);
  }
  std::string text = fmt::format("  {:<24} {:>10} {:>8}", "microseconds", "total", "plan");
  for (const CostTerm term : terms) text += fmt::format(" {:>14}", to_string(term));
  text += fmt::format(" {:>8} {:>7}\n", "CTAs/SM", "splits");
  for (const RouteVerdict& verdict : decision.routes) {
    const CostEstimate& e = verdict.estimate;
    text += fmt::format("{} {:<24}", verdict.chosen ? '*' : ' ', label(verdict));
    if (!e.is_fitted) {
      text += fmt::format(" {:>10}  {}\n", "-", verdict.ruled_out_by);
      continue;
    }
    text += fmt::format(" {:>10.2f} {:>8.2f}", e.total_us, e.plan_us);
    for (const CostTerm term : terms) text += fmt::format(" {:>14.2f}", at(e.terms_us, term));
    text += fmt::format(" {:>8.2f} {:>7}  {}\n", e.ctas_per_sm, e.splits, verdict.ruled_out_by);
  }
  return text;
}

}  // namespace

std::string describe(const Decision& decision) {
  std::string text = fmt::format("profile {}: {} active rows, longest {} tokens, {:.1f} MiB of KV\n",
                                 decision.profile.empty() ? "(none)" : decision.profile, decision.step.active_rows,
                                 decision.step.longest_row_tokens, decision.step.kv_mib);
  text += fmt::format("{}: {}\n", to_string(decision.choice.route), decision.reason);
  const auto is_fitted = [](const RouteVerdict& verdict) { return verdict.estimate.is_fitted; };
  if (std::any_of(decision.routes.begin(), decision.routes.end(), is_fitted)) return text + fitted_table(decision);
  text += fmt::format("  {:<22} {:>10} {:>10} {:>10} {:>10} {:>9} {:>8} {:>7} {:>7}\n", "route", "total us", "KV us",
                      "underfill", "launch us", "merge us", "CTAs/SM", "splits", "");
  for (const RouteVerdict& verdict : decision.routes) {
    const CostEstimate& e = verdict.estimate;
    text += fmt::format("{} {:<22} {:>10.1f} {:>10.1f} {:>10.2f} {:>10.1f} {:>9.1f} {:>8.2f} {:>7}  {}\n",
                        verdict.chosen ? '*' : ' ', label(verdict), e.total_us, e.kv_us, e.underfill, e.launch_us,
                        e.merge_us, e.ctas_per_sm, e.splits, verdict.ruled_out_by);
  }
  return text;
}

}  // namespace pkv
