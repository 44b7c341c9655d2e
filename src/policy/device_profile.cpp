#include "persistentkv/policy/device_profile.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>

namespace pkv {

namespace {

void require_range(const std::string& field, double value, double low, double high) {
  if (!(value >= low && value <= high))  // written so that NaN fails
    throw InvalidArgument(fmt::format("{} is {}, must be in [{}, {}]", field, value, low, high));
}

void require_positive(const std::string& field, double value, double high) {
  if (!(value > 0 && value <= high))
    throw InvalidArgument(fmt::format("{} is {}, must be above 0 and at most {}", field, value, high));
}

template <class T>
void require_set(const std::string& field, const std::vector<T>& values) {
  if (values.empty()) throw InvalidArgument(fmt::format("{} has 0 entries, must have at least 1", field));
  for (auto it = values.begin(); it != values.end(); ++it)
    if (std::find(values.begin(), it, *it) != it)
      throw InvalidArgument(fmt::format("{}[{}] is there already, must be different", field, it - values.begin()));
}

void validate_name(const std::string& name) {
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-'; };
  if (name.empty() || name.size() > 128 || !std::all_of(name.begin(), name.end(), allowed)) {
    throw InvalidArgument(
        fmt::format("name is \"{}\", must be 1 to 128 letters, digits, '.', '_' or '-'", name.substr(0, 128)));
  }
}

void validate_fit(const DeviceProfile& profile, const RouteFit& fit, const std::string& field) {
  const auto require_calibrated = [&](std::string_view name, auto value, const auto& values) {
    if (std::find(values.begin(), values.end(), value) == values.end())
      throw InvalidArgument(fmt::format("{}.{} is not among those calibrated, must be one of them", field, name));
  };
  require_calibrated("group_size", fit.group_size, profile.group_sizes);
  require_calibrated("head_dim", fit.head_dim, profile.head_dims);
  require_calibrated("dtype", fit.dtype, profile.dtypes);
  require_positive(field + ".resident_ctas_per_sm", fit.resident_ctas_per_sm, 64);
  for (const CostTerm term : kAllCostTerms)
    require_range(fmt::format("{}.us.{}", field, to_string(term)), at(fit.us, term), 0, 1e9);
  require_range(field + ".error.steps", fit.error.steps, 0, 1e9);
  require_range(field + ".error.mean", fit.error.mean, 0, 1e9);
  require_range(field + ".error.median", fit.error.median, 0, 1e9);
  require_range(field + ".error.max", fit.error.max, 0, 1e9);
}

void validate_fits(const DeviceProfile& profile, const RouteCandidate& candidate, const std::string& field) {
  if (candidate.fits.empty() == profile.is_fitted())
    throw InvalidArgument(fmt::format("{}.fits is {}, must be as that of candidates[0]: all have fits, or none", field,
                                      candidate.fits.empty() ? "absent" : "there"));
  if (candidate.fits.empty() && candidate.plan)
    throw InvalidArgument(fmt::format("{}.plan is there, must be absent where fits are", field));
  for (std::size_t i = 0; i < candidate.fits.size(); ++i) {
    const RouteFit& fit = candidate.fits[i];
    validate_fit(profile, fit, fmt::format("{}.fits[{}]", field, i));
    if (candidate.fit(fit.group_size, fit.head_dim, fit.dtype) != &fit)
      throw InvalidArgument(fmt::format("{}.fits[{}] is there already, must be for another shape or dtype", field, i));
  }
  if (!candidate.plan) return;
  require_range(field + ".plan.step_us", candidate.plan->step_us, 0, 1e9);
  require_range(field + ".plan.row_us", candidate.plan->row_us, 0, 1e9);
  require_range(field + ".plan.task_us", candidate.plan->task_us, 0, 1e9);
}

void validate_candidates(const DeviceProfile& profile) {
  std::vector<std::pair<Route, int>> routes;
  for (const RouteCandidate& candidate : profile.candidates) {
    const std::string field = fmt::format("candidates[{}]", routes.size());
    if (candidate.route == Route::kPolicy)
      throw InvalidArgument(fmt::format("{}.route is policy, must be a route that runs a step", field));
    require_range(field + ".splits", candidate.splits, 0, 1024);
    const bool has_splits = schedule_of(candidate.route).has_value() && candidate.route != Route::kStream;
    if (candidate.splits > 0 && !has_splits) {
      throw InvalidArgument(fmt::format("{}.splits is {}, must be absent or 0: {} decides for itself", field,
                                        candidate.splits, to_string(candidate.route)));
    }
    validate_fits(profile, candidate, field);
    routes.emplace_back(candidate.route, candidate.splits);
  }
  require_set("candidates", routes);
  if (profile.candidate(profile.safe_route) == nullptr)
    throw InvalidArgument(fmt::format("safe_route is {}, must be one of candidates", to_string(profile.safe_route)));
}

void validate_gate(const DeviceProfile& profile, const Gate& gate, const std::string& field) {
  constexpr double kMax = 1e15;
  if (gate.name.empty()) throw InvalidArgument(fmt::format("{}.name is empty, must say what the gate is", field));
  require_set(field + ".routes", gate.routes);
  for (const Route route : gate.routes) {
    if (profile.candidate(route) == nullptr)
      throw InvalidArgument(fmt::format("{}.routes has {}, must be among candidates", field, to_string(route)));
  }
  if (!gate.min && !gate.max) throw InvalidArgument(fmt::format("{} has neither min nor max, must have one", field));
  if (gate.min) require_range(field + ".min", static_cast<double>(*gate.min), 0, kMax);
  if (gate.max) require_range(field + ".max", static_cast<double>(*gate.max), 0, kMax);
  if (gate.min && gate.max && *gate.min > *gate.max)
    throw InvalidArgument(fmt::format("{}.min is {}, must be at most max, {}", field, *gate.min, *gate.max));
}

}  // namespace

std::string_view to_string(TimeUnits units) noexcept { return units == TimeUnits::kPaper ? "paper" : "si"; }

std::string_view to_string(StepQuantity quantity) noexcept {
  switch (quantity) {
    case StepQuantity::kActiveRows:
      return "active_rows";
    case StepQuantity::kLongestRowTokens:
      return "longest_row_tokens";
    case StepQuantity::kKvTokens:
      return "kv_tokens";
    case StepQuantity::kKvMib:
      break;
  }
  return "kv_mib";
}

bool Gate::applies_to(Route route) const noexcept {
  return std::find(routes.begin(), routes.end(), route) != routes.end();
}

const RouteCandidate* DeviceProfile::candidate(Route route) const noexcept {
  const auto it = std::find_if(candidates.begin(), candidates.end(),
                               [route](const RouteCandidate& candidate) { return candidate.route == route; });
  return it == candidates.end() ? nullptr : &*it;
}

const RouteCandidate* DeviceProfile::candidate(Route route, int splits) const noexcept {
  const auto it = std::find_if(candidates.begin(), candidates.end(), [&](const RouteCandidate& candidate) {
    return candidate.route == route && candidate.splits == splits;
  });
  return it == candidates.end() ? nullptr : &*it;
}

const RouteFit* RouteCandidate::fit(int group_size, int head_dim, DType dtype) const noexcept {
  for (const RouteFit& fit : fits)
    if (fit.group_size == group_size && fit.head_dim == head_dim && fit.dtype == dtype) return &fit;
  return nullptr;
}

void DeviceProfile::require_device(std::string_view device) const {
  if (device_name != device)
    throw InvalidArgument(fmt::format("profile {} is of {}, must be of this device, {}", name, device_name, device));
}

void DeviceProfile::validate() const {
  validate_name(name);
  require_range("device.num_sms", num_sms, 1, 65536);
  require_set("calibrated.group_sizes", group_sizes);
  for (const int size : group_sizes) require_range("calibrated.group_sizes", size, 1, 65536);
  require_set("calibrated.head_dims", head_dims);
  for (const int dim : head_dims) require_range("calibrated.head_dims", dim, 1, 65536);
  require_set("calibrated.dtypes", dtypes);
  require_positive("cost.bandwidth_gb_per_s", cost.bandwidth_gb_per_s, 1e6);
  require_positive("cost.min_ctas_per_sm", cost.min_ctas_per_sm, 1e4);
  require_range("cost.launch_us", cost.launch_us, 0, 1e6);
  require_range("caution", caution, 0, 100);
  require_range("margin", margin, 0, 1);
  for (std::size_t i = 0; i < mlp.size(); ++i) {
    require_range(fmt::format("mlp[{}].batch", i), mlp[i].batch, i == 0 ? 1 : mlp[i - 1].batch + 1, 65536);
    require_range(fmt::format("mlp[{}].us", i), mlp[i].us, 0, 1e9);
  }
  if (measured) {
    require_range("measured.page_read_gb_per_s", measured->page_read_gb_per_s, 0, 1e6);
    require_range("measured.graph_node_us", measured->graph_node_us, 0, 1e6);
    require_range("measured.launch_us", measured->launch_us, 0, 1e6);
    require_range("measured.merge_us_per_mib", measured->merge_us_per_mib, 0, 1e6);
  }
  validate_candidates(*this);
  for (std::size_t i = 0; i < gates.size(); ++i) validate_gate(*this, gates[i], fmt::format("gates[{}]", i));
}

}  // namespace pkv
