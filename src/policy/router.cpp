#include "persistentkv/policy/router.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

namespace pkv {

namespace {

template <class T>
bool contains(const std::vector<T>& values, const T& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

bool covers(const DeviceProfile& profile, const PolicyInput& input) noexcept {
  return contains(profile.group_sizes, input.step.shape.group_size()) &&
         contains(profile.head_dims, input.step.shape.head_dim) && contains(profile.dtypes, input.dtype);
}

/// The first gate that rules `route` out, or null.
const Gate* failed_gate(const DeviceProfile& profile, Route route, const StepSummary& step) noexcept {
  for (const Gate& gate : profile.gates)
    if (gate.applies_to(route) && !gate.admits(step.value(gate.quantity))) return &gate;
  return nullptr;
}

Choice choice_of(const RouteCandidate& candidate, const PolicyInput& input) noexcept {
  const auto schedule = schedule_of(candidate.route);
  if (!schedule || schedule == Schedule::kStream) return {candidate.route, 0};
  return {candidate.route, input.options.splits > 0 ? input.options.splits : candidate.splits};
}

Choice choose_for(const DeviceProfile& profile, const PolicyInput& input, const StepSummary& step) {
  const RouteCandidate* best = nullptr;
  if (covers(profile, input)) {
    double best_us = 0;
    for (const RouteCandidate& candidate : profile.candidates) {
      if (failed_gate(profile, candidate.route, step) != nullptr) continue;
      const double us = estimate_cost(profile, candidate.route, input, step).total_us;
      if (best != nullptr && us >= best_us) continue;
      best = &candidate;
      best_us = us;
    }
  }
  return choice_of(best != nullptr ? *best : *profile.candidate(profile.safe_route), input);
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

std::string reason_for(const Decision& decision, const std::string& not_covered) {
  if (!not_covered.empty()) return fmt::format("the safe route, not covered by the profile: {}", not_covered);
  std::vector<const RouteVerdict*> standing;
  for (const RouteVerdict& verdict : decision.routes)
    if (verdict.ruled_out_by.empty()) standing.push_back(&verdict);
  if (standing.empty()) return "the safe route: the gates rule out every candidate";
  if (standing.size() == 1) return "the only candidate that the gates leave";
  std::string others;
  double chosen_us = 0;
  for (const RouteVerdict* verdict : standing) {
    if (verdict->chosen)
      chosen_us = verdict->estimate.total_us;
    else
      others +=
          fmt::format("{}{} {:.1f}", others.empty() ? "" : ", ", to_string(verdict->route), verdict->estimate.total_us);
  }
  return fmt::format("the smallest estimate, {:.1f} us ({})", chosen_us, others);
}

}  // namespace

Router::Router(DeviceProfile profile) : profile_(std::move(profile)) { profile_.validate(); }

Choice Router::choose(const PolicyInput& input) const { return choose_for(profile_, input, summarize(input)); }

Decision Router::explain(const PolicyInput& input) const {
  Decision decision;
  decision.profile = profile_.name;
  decision.step = summarize(input);
  decision.choice = choose_for(profile_, input, decision.step);
  const std::string not_covered = covers(profile_, input) ? std::string() : why_not_covered(profile_, input);

  const auto add = [&](Route route, std::string ruled_out_by) {
    decision.routes.push_back({route, estimate_cost(profile_, route, input, decision.step),
                               route == decision.choice.route, std::move(ruled_out_by)});
  };
  for (const RouteCandidate& candidate : profile_.candidates) {
    const Gate* gate = failed_gate(profile_, candidate.route, decision.step);
    if (!not_covered.empty())
      add(candidate.route, candidate.route == profile_.safe_route ? std::string() : not_covered);
    else
      add(candidate.route, gate != nullptr ? why_gated(*gate, decision.step) : std::string());
  }
  for (const Route route : kRunnableRoutes)
    if (profile_.candidate(route) == nullptr) add(route, "not a candidate of this profile");
  decision.reason = reason_for(decision, not_covered);
  return decision;
}

std::string describe(const Decision& decision) {
  std::string text = fmt::format("profile {}: {} active rows, longest {} tokens, {:.1f} MiB of KV\n", decision.profile,
                                 decision.step.active_rows, decision.step.longest_row_tokens, decision.step.kv_mib);
  text += fmt::format("{}: {}\n", to_string(decision.choice.route), decision.reason);
  text += fmt::format("  {:<22} {:>10} {:>10} {:>10} {:>10} {:>9} {:>8} {:>7} {:>7}\n", "route", "total us", "KV us",
                      "underfill", "launch us", "merge us", "CTAs/SM", "splits", "");
  for (const RouteVerdict& verdict : decision.routes) {
    const CostEstimate& e = verdict.estimate;
    text += fmt::format("{} {:<22} {:>10.1f} {:>10.1f} {:>10.2f} {:>10.1f} {:>9.1f} {:>8.2f} {:>7}  {}\n",
                        verdict.chosen ? '*' : ' ', to_string(verdict.route), e.total_us, e.kv_us, e.underfill,
                        e.launch_us, e.merge_us, e.ctas_per_sm, e.splits, verdict.ruled_out_by);
  }
  return text;
}

}  // namespace pkv
