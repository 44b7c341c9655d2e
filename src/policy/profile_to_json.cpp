// Profiles to JSON.

#include "persistentkv/core/error.hpp"
#include "persistentkv/policy/profile_io.hpp"
#include "profile_schema.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <string>

namespace pkv {

namespace {

using nlohmann::ordered_json;

ordered_json json_of(const RouteFit& fit) {
  ordered_json us = ordered_json::object();
  for (const CostTerm term : kAllCostTerms)
    if (at(fit.us, term) != 0) us[std::string(to_string(term))] = at(fit.us, term);
  return {
      {"group_size", fit.group_size},
      {"head_dim", fit.head_dim},
      {"dtype", to_string(fit.dtype)},
      {"resident_ctas_per_sm", fit.resident_ctas_per_sm},
      {"us", us},
      {"error",
       {{"steps", fit.error.steps}, {"mean", fit.error.mean}, {"median", fit.error.median}, {"max", fit.error.max}}}};
}

ordered_json json_of(const RouteCandidate& candidate) {
  ordered_json entry{{"route", to_string(candidate.route)}};
  if (candidate.splits > 0) entry["splits"] = candidate.splits;
  if (candidate.plan) {
    entry["plan"] = {
        {"step_us", candidate.plan->step_us}, {"row_us", candidate.plan->row_us}, {"task_us", candidate.plan->task_us}};
  }
  for (const RouteFit& fit : candidate.fits) entry["fits"].push_back(json_of(fit));
  return entry;
}

}  // namespace

std::string profile_to_json(const DeviceProfile& profile) {
  profile.validate();
  ordered_json dtypes = ordered_json::array();
  for (const DType dtype : profile.dtypes) dtypes.push_back(to_string(dtype));
  ordered_json candidates = ordered_json::array();
  for (const RouteCandidate& candidate : profile.candidates) candidates.push_back(json_of(candidate));
  ordered_json gates = ordered_json::array();
  for (const Gate& gate : profile.gates) {
    ordered_json routes = ordered_json::array();
    for (const Route route : gate.routes) routes.push_back(to_string(route));
    ordered_json& entry = gates.emplace_back(
        ordered_json{{"name", gate.name}, {"routes", routes}, {"quantity", to_string(gate.quantity)}});
    if (gate.min) entry["min"] = *gate.min;
    if (gate.max) entry["max"] = *gate.max;
  }
  const Provenance& by = profile.provenance;
  const CostConstants& cost = profile.cost;
  ordered_json root = {
      {"schema", detail::kProfileSchema},
      {"schema_version", DeviceProfile::kSchemaVersion},
      {"name", profile.name},
      {"provenance", {{"measured_by", by.measured_by}, {"date", by.date}, {"driver", by.driver}, {"notes", by.notes}}},
      {"device", {{"name", profile.device_name}, {"num_sms", profile.num_sms}}},
      {"calibrated", {{"group_sizes", profile.group_sizes}, {"head_dims", profile.head_dims}, {"dtypes", dtypes}}},
      {"cost",
       {{"time_units", to_string(cost.time_units)},
        {"bandwidth_gb_per_s", cost.bandwidth_gb_per_s},
        {"min_ctas_per_sm", cost.min_ctas_per_sm},
        {"launch_us", cost.launch_us}}},
      {"safe_route", to_string(profile.safe_route)},
      {"candidates", candidates},
      {"gates", gates},
  };
  if (profile.caution != 0) root["caution"] = profile.caution;
  if (profile.margin != 0) root["margin"] = profile.margin;
  if (profile.measured) {
    root["measured"] = {{"page_read_gb_per_s", profile.measured->page_read_gb_per_s},
                        {"graph_node_us", profile.measured->graph_node_us},
                        {"launch_us", profile.measured->launch_us},
                        {"merge_us_per_mib", profile.measured->merge_us_per_mib}};
  }
  for (const MlpTime& time : profile.mlp) root["mlp"].push_back({{"batch", time.batch}, {"us", time.us}});
  try {
    return root.dump(2) + "\n";
  } catch (const nlohmann::json::exception& error) {
    throw InvalidArgument(fmt::format("profile {} has text that is not UTF-8: {}", profile.name, error.what()));
  }
}

}  // namespace pkv
