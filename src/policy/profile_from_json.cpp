// Profiles from JSON.

#include "persistentkv/core/error.hpp"
#include "persistentkv/policy/profile_io.hpp"
#include "profile_fields.hpp"
#include "profile_schema.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace pkv {

namespace {

using detail::Fields;
using detail::kProfileSchema;
using detail::LocatedJson;
using nlohmann::json;

/// The value of an enum whose to_string gives `text`.
template <class Enum, std::size_t N>
Enum parse_enum(std::string_view text, std::string_view what, const std::array<Enum, N>& values) {
  std::vector<std::string_view> names;
  for (const Enum value : values) {
    if (to_string(value) == text) return value;
    names.push_back(to_string(value));
  }
  throw InvalidArgument(fmt::format("{} is \"{}\", must be one of {}", what, text, fmt::join(names, ", ")));
}

TimeUnits parse_time_units(std::string_view text) {
  return parse_enum(text, "time_units", std::array{TimeUnits::kSi, TimeUnits::kPaper});
}

StepQuantity parse_quantity(std::string_view text) {
  return parse_enum(text, "quantity",
                    std::array{StepQuantity::kActiveRows, StepQuantity::kLongestRowTokens, StepQuantity::kKvTokens,
                               StepQuantity::kKvMib});
}

RouteFit read_fit(Fields fields) {
  RouteFit fit;
  fit.group_size = fields.small_integer("group_size");
  fit.head_dim = fields.small_integer("head_dim");
  fit.dtype = fields.named("dtype", parse_dtype);
  fit.resident_ctas_per_sm = fields.number("resident_ctas_per_sm");
  Fields us = fields.object("us");
  for (const CostTerm term : kAllCostTerms)
    if (us.has(to_string(term))) at(fit.us, term) = us.number(to_string(term));
  us.refuse_unknown();
  Fields error = fields.object("error");
  fit.error = {error.small_integer("steps"), error.number("mean"), error.number("median"), error.number("max")};
  error.refuse_unknown();
  fields.refuse_unknown();
  return fit;
}

PlanFit read_plan(Fields fields) {
  const PlanFit plan{fields.number("step_us"), fields.number("row_us"), fields.number("task_us")};
  fields.refuse_unknown();
  return plan;
}

RouteCandidate read_candidate(const LocatedJson& document, const json& value, const std::string& path) {
  Fields fields(document, value, path);
  RouteCandidate candidate;
  candidate.route = fields.named("route", parse_route);
  if (fields.has("splits")) candidate.splits = fields.small_integer("splits");
  if (fields.has("fits")) {
    fields.each("fits", [&](const json& fit, const std::string& at) {
      candidate.fits.push_back(read_fit({document, fit, at}));
    });
  }
  if (fields.has("plan")) candidate.plan = read_plan(fields.object("plan"));
  fields.refuse_unknown();
  return candidate;
}

MeasuredOverheads read_measured(Fields fields) {
  const MeasuredOverheads measured{fields.number("page_read_gb_per_s"), fields.number("graph_node_us"),
                                   fields.number("launch_us"), fields.number("merge_us_per_mib")};
  fields.refuse_unknown();
  return measured;
}

MlpTime read_mlp(Fields fields) {
  const MlpTime time{fields.small_integer("batch"), fields.number("us")};
  fields.refuse_unknown();
  return time;
}

Gate read_gate(Fields fields) {
  Gate gate;
  gate.name = fields.text("name");
  gate.routes = fields.named_list("routes", parse_route);
  gate.quantity = fields.named("quantity", parse_quantity);
  gate.min = fields.optional_integer("min");
  gate.max = fields.optional_integer("max");
  fields.refuse_unknown();
  return gate;
}

Provenance read_provenance(Fields fields) {
  Provenance provenance{fields.text("measured_by"), fields.text("date"), fields.text("driver"), fields.text("notes")};
  fields.refuse_unknown();
  return provenance;
}

CostConstants read_cost(Fields fields) {
  CostConstants cost;
  cost.time_units = fields.named("time_units", parse_time_units);
  cost.bandwidth_gb_per_s = fields.number("bandwidth_gb_per_s");
  cost.min_ctas_per_sm = fields.number("min_ctas_per_sm");
  cost.launch_us = fields.number("launch_us");
  fields.refuse_unknown();
  return cost;
}

void check_schema(const LocatedJson& document, Fields& root) {
  const std::string schema = root.text("schema");
  if (schema != kProfileSchema)
    document.fail("schema", fmt::format("schema is \"{}\", must be \"{}\"", schema, kProfileSchema));
  const int version = root.small_integer("schema_version");
  if (version != DeviceProfile::kSchemaVersion) {
    document.fail("schema_version", fmt::format("schema_version is {}, must be {}: this build reads no other", version,
                                                DeviceProfile::kSchemaVersion));
  }
}

}  // namespace

DeviceProfile parse_profile(std::string_view text, const std::string& source) {
  const LocatedJson document(text, source);
  Fields root(document, document.root(), "");
  check_schema(document, root);

  DeviceProfile profile;
  profile.name = root.text("name");
  profile.provenance = read_provenance(root.object("provenance"));
  Fields device = root.object("device");
  profile.device_name = device.text("name");
  profile.num_sms = device.small_integer("num_sms");
  device.refuse_unknown();
  Fields calibrated = root.object("calibrated");
  profile.group_sizes = calibrated.integers("group_sizes");
  profile.head_dims = calibrated.integers("head_dims");
  profile.dtypes = calibrated.named_list("dtypes", parse_dtype);
  calibrated.refuse_unknown();
  profile.cost = read_cost(root.object("cost"));
  profile.safe_route = root.named("safe_route", parse_route);
  root.each("candidates", [&](const json& value, const std::string& path) {
    profile.candidates.push_back(read_candidate(document, value, path));
  });
  if (root.has("caution")) profile.caution = root.number("caution");
  if (root.has("margin")) profile.margin = root.number("margin");
  if (root.has("measured")) profile.measured = read_measured(root.object("measured"));
  if (root.has("mlp")) {
    root.each("mlp", [&](const json& value, const std::string& path) {
      profile.mlp.push_back(read_mlp({document, value, path}));
    });
  }
  root.each("gates", [&](const json& value, const std::string& path) {
    profile.gates.push_back(read_gate({document, value, path}));
  });
  root.refuse_unknown();

  try {
    profile.validate();
  } catch (const InvalidArgument& error) {
    const std::string_view message = error.what();  // it begins with the field's path
    document.fail(message.substr(0, message.find(' ')), std::string(message));
  }
  return profile;
}

}  // namespace pkv
