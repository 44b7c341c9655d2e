#include "persistentkv/policy/router.hpp"
#include "rules.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

namespace pkv {

namespace {

using detail::contains;

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
  if (contains(profile.dtypes, input.dtype))
    return fmt::format("calibrated device: device is {}, must be {}", input.device_name, profile.device_name);
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

std::string reason_for(const Decision& decision, const std::string& not_covered, const RouteOffer& offer) {
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
  double chosen_us = 0;
  for (const RouteVerdict* verdict : standing) {
    if (verdict->chosen)
      chosen_us = verdict->estimate.total_us;
    else
      others +=
          fmt::format("{}{} {:.1f}", others.empty() ? "" : ", ", to_string(verdict->route), verdict->estimate.total_us);
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

  const auto add = [&](Route route, std::string ruled_out_by) {
    decision.routes.push_back({route, estimate_cost(profile_, route, input, decision.step),
                               route == decision.choice.route, std::move(ruled_out_by)});
  };
  for (const RouteCandidate& candidate : profile_.candidates) {
    const Gate* gate = detail::failed_gate(profile_, candidate.route, decision.step);
    if (!offer.routes.contains(candidate.route))
      add(candidate.route, "nobody offers it");
    else if (!not_covered.empty())
      add(candidate.route, candidate.route == decision.choice.route ? std::string() : not_covered);
    else
      add(candidate.route, gate != nullptr ? why_gated(*gate, decision.step) : std::string());
  }
  for (const Route route : kRunnableRoutes)
    if (profile_.candidate(route) == nullptr) add(route, "not a candidate of this profile");
  decision.reason = reason_for(decision, not_covered, offer);
  return decision;
}

std::string describe(const Decision& decision) {
  std::string text = fmt::format("profile {}: {} active rows, longest {} tokens, {:.1f} MiB of KV\n",
                                 decision.profile.empty() ? "(none)" : decision.profile, decision.step.active_rows,
                                 decision.step.longest_row_tokens, decision.step.kv_mib);
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
