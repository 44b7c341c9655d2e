#include "results_file.hpp"

#include "../json_file.hpp"
#include "input/text_file.hpp"
#include "persistentkv/core/error.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

namespace pkv::report {

namespace {

/// Of files that the page knows what to do with.
constexpr const char* kCommands[] = {"replay", "bench", "serving", "timeline", "reproduce", "regret", "calibrate"};

/// A value for a message: short, whatever it is, and never walked into, since a file may nest as deep as it likes.
std::string shown(const nlohmann::json& object, const char* member) {
  if (!object.contains(member)) return "missing";
  const nlohmann::json& value = object[member];
  if (value.is_structured()) return fmt::format("{} of {}", value.is_array() ? "a list" : "an object", value.size());
  const std::string text = value.dump(-1, ' ', true);
  return text.size() > 40 ? text.substr(0, 40) + "..." : text;
}

void require(bool ok, const std::string& path, const nlohmann::json& object, const std::string& prefix,
             const char* member, const std::string& wanted) {
  if (!ok)
    throw IoError(fmt::format("{}: {}{} is {}, must be {}", path, prefix, member, shown(object, member), wanted));
}

void require_machine(const std::string& path, const nlohmann::json& json) {
  require(json.contains("machine") && json["machine"].is_object(), path, json, "", "machine", "an object");
  const nlohmann::json& machine = json["machine"];
  for (const char* member : {"cpu", "version", "commit", "date"})
    require(machine.contains(member) && machine[member].is_string(), path, machine, "machine.", member, "a text");
  if (!machine.contains("gpu") || machine["gpu"].is_null()) return;
  require(machine["gpu"].is_object(), path, machine, "machine.", "gpu", "null or an object");
  const nlohmann::json& gpu = machine["gpu"];
  require(gpu.contains("name") && gpu["name"].is_string(), path, gpu, "machine.gpu.", "name", "a text");
}

}  // namespace

void ResultsRow::refuse(const char* member, const char* wanted) const {
  throw IoError(fmt::format("{}{} is {}, must be {}", where_, member, shown(*json_, member), wanted));
}

double ResultsRow::positive(const char* member) const {
  if (!has(member) || !(*json_)[member].is_number()) refuse(member, "a number > 0");
  const double value = (*json_)[member];
  if (!(value > 0.0) || !std::isfinite(value)) refuse(member, "a number > 0");
  return value;
}

double ResultsRow::positive_or(const char* member, double otherwise) const {
  if (!has(member) || (*json_)[member].is_null() || (*json_)[member] == 0) return otherwise;
  return positive(member);
}

std::string ResultsRow::text(const char* member) const {
  if (!has(member) || !(*json_)[member].is_string()) refuse(member, "a text");
  return (*json_)[member];
}

bool ResultsRow::flag(const char* member) const {
  if (!has(member) || !(*json_)[member].is_boolean()) refuse(member, "true or false");
  return (*json_)[member];
}

double ResultsRow::number(const char* member) const {
  if (!has(member) || !(*json_)[member].is_number()) refuse(member, "a number");
  const double value = (*json_)[member];
  if (!std::isfinite(value)) refuse(member, "a number");
  return value;
}

std::optional<double> ResultsRow::number_or_none(const char* member) const {
  return is_null(member) ? std::nullopt : std::optional(number(member));
}

std::vector<double> ResultsRow::numbers(const char* member) const {
  if (!has(member) || !(*json_)[member].is_array()) refuse(member, "a list of numbers");
  std::vector<double> values;
  values.reserve((*json_)[member].size());
  for (const nlohmann::json& value : (*json_)[member]) {
    if (!value.is_number()) refuse(member, "a list of numbers");
    values.push_back(value);
  }
  return values;
}

ResultsRow ResultsRow::object(const char* member) const {
  if (!has(member) || !(*json_)[member].is_object()) refuse(member, "an object");
  return {(*json_)[member], fmt::format("{}{}.", where_, member)};
}

std::optional<ResultsRow> ResultsRow::object_or_none(const char* member) const {
  return is_null(member) ? std::nullopt : std::optional(object(member));
}

std::vector<ResultsRow> ResultsRow::objects(const char* member) const {
  if (!has(member) || !(*json_)[member].is_array()) refuse(member, "a list of objects");
  const nlohmann::json& list = (*json_)[member];
  std::vector<ResultsRow> rows;
  rows.reserve(list.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (!list[i].is_object()) throw IoError(fmt::format("{}{}[{}] is no object", where_, member, i));
    rows.emplace_back(list[i], fmt::format("{}{}[{}].", where_, member, i));
  }
  return rows;
}

std::string ResultsFile::name() const { return std::filesystem::path(path).filename().string(); }

std::vector<ResultsRow> ResultsFile::rows() const { return root().objects("rows"); }

ResultsFile read_results(const std::string& path) {
  ResultsFile file{path, {}};
  try {
    file.json = nlohmann::json::parse(input::read_text(path, input::kAnySize, "a file of results"));
  } catch (const nlohmann::json::exception& error) {
    throw IoError(fmt::format("{}: is no JSON: {}", path, error.what()));
  }
  const nlohmann::json& json = file.json;
  if (!json.is_object()) throw IoError(fmt::format("{}: is no results file: must be a JSON object", path));
  require(json.contains("schema") && json["schema"] == kResultsSchema, path, json, "", "schema",
          fmt::format("{}, as pkv writes it with --json", kResultsSchema));
  const auto is_command = [&](const char* command) { return json["command"] == command; };
  require(json.contains("command") && std::any_of(std::begin(kCommands), std::end(kCommands), is_command), path, json,
          "", "command", fmt::format("one of {}", fmt::join(kCommands, ", ")));
  require_machine(path, json);
  // Of the study's tables there may be none that consists of rows.
  require(json.contains("rows") && json["rows"].is_array() && (!json["rows"].empty() || json["command"] == "reproduce"),
          path, json, "", "rows", "a list with at least one row");
  (void)file.rows();
  return file;
}

}  // namespace pkv::report
