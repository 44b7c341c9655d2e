// Profiles to JSON and back.

#include "located_json.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/policy/profile_io.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <utility>

namespace pkv {

namespace {

using detail::LocatedJson;
using nlohmann::json;

constexpr std::string_view kSchema = "persistentkv.device-profile";

/// The fields of one object. Every field must be asked for: what nobody knows, a profile may not have.
class Fields {
 public:
  Fields(const LocatedJson& document, const json& object, std::string path)
      : document_(document), object_(object), path_(std::move(path)) {
    if (!object_.is_object())
      document_.fail(path_, fmt::format("{} is {}, must be an object", name_of(path_), object_.type_name()));
  }

  [[nodiscard]] bool has(std::string_view key) {
    if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.emplace_back(key);
    return object_.contains(key);
  }

  [[nodiscard]] const json& at(std::string_view key) {
    if (!has(key)) document_.fail(path_of(key), fmt::format("{} is missing", path_of(key)));
    return *object_.find(key);
  }

  [[nodiscard]] std::string text(std::string_view key) { return text_of(at(key), path_of(key)); }

  [[nodiscard]] double number(std::string_view key) {
    const json& value = at(key);
    if (!value.is_number()) wrong_type(value, path_of(key), "a number");
    return value.get<double>();
  }

  [[nodiscard]] std::int64_t integer(std::string_view key, std::int64_t low, std::int64_t high) {
    return integer_of(at(key), path_of(key), low, high);
  }
  [[nodiscard]] int small_integer(std::string_view key) {
    return static_cast<int>(integer(key, std::numeric_limits<int>::min(), std::numeric_limits<int>::max()));
  }
  [[nodiscard]] std::optional<std::int64_t> optional_integer(std::string_view key) {
    if (!has(key)) return std::nullopt;
    return integer(key, std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max());
  }

  [[nodiscard]] Fields object(std::string_view key) { return {document_, at(key), path_of(key)}; }

  /// Calls read(element, its path) for each element of an array.
  template <class Read>
  void each(std::string_view key, Read&& read) {
    const json& array = at(key);
    if (!array.is_array()) wrong_type(array, path_of(key), "an array");
    for (std::size_t i = 0; i < array.size(); ++i) read(array[i], fmt::format("{}[{}]", path_of(key), i));
  }

  [[nodiscard]] std::vector<int> integers(std::string_view key) {
    std::vector<int> values;
    each(key, [&](const json& value, const std::string& path) {
      values.push_back(
          static_cast<int>(integer_of(value, path, std::numeric_limits<int>::min(), std::numeric_limits<int>::max())));
    });
    return values;
  }

  /// A name that `parse` knows, or a list of them.
  template <class Parse>
  [[nodiscard]] auto named(std::string_view key, Parse parse) {
    return named_value(at(key), path_of(key), parse);
  }
  template <class Parse>
  [[nodiscard]] auto named_list(std::string_view key, Parse parse) {
    std::vector<decltype(parse(std::string_view()))> values;
    each(key, [&](const json& value, const std::string& path) { values.push_back(named_value(value, path, parse)); });
    return values;
  }

  void refuse_unknown() const {
    for (const auto& item : object_.items()) {
      if (std::find(known_.begin(), known_.end(), item.key()) != known_.end()) continue;
      document_.fail(path_of(item.key()),
                     fmt::format("{} is unknown, must be one of {}", path_of(item.key()), fmt::join(known_, ", ")));
    }
  }

 private:
  static std::string name_of(const std::string& path) { return path.empty() ? "the profile" : path; }
  [[nodiscard]] std::string path_of(std::string_view key) const { return detail::join_path(path_, key); }

  [[noreturn]] void wrong_type(const json& value, const std::string& path, std::string_view wanted) const {
    document_.fail(path, fmt::format("{} is {}, must be {}", path, value.type_name(), wanted));
  }
  [[nodiscard]] std::string text_of(const json& value, const std::string& path) const {
    if (!value.is_string()) wrong_type(value, path, "a string");
    return value.get<std::string>();
  }
  [[nodiscard]] std::int64_t integer_of(const json& value, const std::string& path, std::int64_t low,
                                        std::int64_t high) const {
    if (!value.is_number_integer()) wrong_type(value, path, "an integer");
    const bool too_big = value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(high);
    if (too_big || value.get<std::int64_t>() < low)
      document_.fail(path, fmt::format("{} is {}, must be in [{}, {}]", path, value.dump(), low, high));
    return value.get<std::int64_t>();
  }
  template <class Parse>
  [[nodiscard]] auto named_value(const json& value, const std::string& path, Parse parse) const {
    const std::string text = text_of(value, path);
    try {
      return parse(std::string_view(text));
    } catch (const InvalidArgument& error) {
      document_.fail(path, fmt::format("{}: {}", path, error.what()));
    }
  }

  const LocatedJson& document_;
  const json& object_;
  std::string path_;
  std::vector<std::string> known_;
};

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
  if (schema != kSchema) document.fail("schema", fmt::format("schema is \"{}\", must be \"{}\"", schema, kSchema));
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
      {"schema", kSchema},
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
  } catch (const json::exception& error) {
    throw InvalidArgument(fmt::format("profile {} has text that is not UTF-8: {}", profile.name, error.what()));
  }
}

}  // namespace pkv
