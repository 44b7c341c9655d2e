#include "results_file.hpp"

#include "../json_file.hpp"
#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace pkv::report {

namespace {

std::string read_text(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) throw IoError(fmt::format("{}: is a directory", path));
  std::ifstream file(path, std::ios::binary);
  if (!file) throw IoError(fmt::format("{}: cannot be opened", path));
  std::string text(std::istreambuf_iterator<char>(file), {});
  if (file.bad()) throw IoError(fmt::format("{}: cannot be read", path));
  return text;
}

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
  throw IoError(fmt::format("{}.{} is {}, must be {}", where_, member, shown(*json_, member), wanted));
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

std::string ResultsFile::name() const { return std::filesystem::path(path).filename().string(); }

std::vector<ResultsRow> ResultsFile::rows() const {
  std::vector<ResultsRow> rows;
  for (std::size_t i = 0; i < json["rows"].size(); ++i)
    rows.emplace_back(json["rows"][i], fmt::format("{}: rows[{}]", path, i));
  return rows;
}

ResultsFile read_results(const std::string& path) {
  ResultsFile file{path, {}};
  try {
    file.json = nlohmann::json::parse(read_text(path));
  } catch (const nlohmann::json::exception& error) {
    throw IoError(fmt::format("{}: is no JSON: {}", path, error.what()));
  }
  const nlohmann::json& json = file.json;
  if (!json.is_object()) throw IoError(fmt::format("{}: is no results file: must be a JSON object", path));
  require(json.contains("schema") && json["schema"] == kResultsSchema, path, json, "", "schema",
          fmt::format("{}, as pkv writes it with --json", kResultsSchema));
  require(json.contains("command") && (json["command"] == "replay" || json["command"] == "bench"), path, json, "",
          "command", "\"replay\" or \"bench\"");
  require_machine(path, json);
  require(json.contains("rows") && json["rows"].is_array() && !json["rows"].empty(), path, json, "", "rows",
          "a list with at least one row");
  for (std::size_t i = 0; i < json["rows"].size(); ++i)
    if (!json["rows"][i].is_object()) throw IoError(fmt::format("{}: rows[{}] is no object", path, i));
  return file;
}

}  // namespace pkv::report
