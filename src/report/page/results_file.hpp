#pragma once

// Results files as the page needs them: checked, so that what is missing is named with its file and member.

#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <vector>

namespace pkv::report {

/// An object of a results file, which knows where it stands: a row, say. What is missing or of another kind is an
/// IoError that says "FILE: rows[3].time_us is missing, must be a number > 0".
class ResultsRow {
 public:
  /// `where`: "FILE: rows[3]."
  ResultsRow(const nlohmann::json& json, std::string where) : json_(&json), where_(std::move(where)) {}

  [[nodiscard]] bool has(const char* member) const { return json_->contains(member); }
  /// Greater than 0: a time, a size, a rate.
  [[nodiscard]] double positive(const char* member) const;
  /// As positive(), or `otherwise` where there is no such member or it is 0 or null.
  [[nodiscard]] double positive_or(const char* member, double otherwise) const;
  [[nodiscard]] std::string text(const char* member) const;
  [[nodiscard]] bool flag(const char* member) const;
  /// Of either sign.
  [[nodiscard]] double number(const char* member) const;
  /// None where it is null or not there.
  [[nodiscard]] std::optional<double> number_or_none(const char* member) const;
  [[nodiscard]] std::vector<double> numbers(const char* member) const;
  [[nodiscard]] ResultsRow object(const char* member) const;
  [[nodiscard]] std::optional<ResultsRow> object_or_none(const char* member) const;
  [[nodiscard]] std::vector<ResultsRow> objects(const char* member) const;
  /// Where in which file a member stands, to complain about it.
  [[nodiscard]] std::string where(const char* member) const { return where_ + member; }
  [[nodiscard]] const nlohmann::json& json() const noexcept { return *json_; }

 private:
  [[nodiscard]] bool is_null(const char* member) const { return !has(member) || (*json_)[member].is_null(); }
  [[noreturn]] void refuse(const char* member, const char* wanted) const;
  const nlohmann::json* json_;
  std::string where_;  // "h200.json: rows[3]."
};

struct ResultsFile {
  std::string path;
  nlohmann::json json;

  [[nodiscard]] std::string name() const;  ///< without its folder
  [[nodiscard]] std::string command() const { return json["command"]; }
  [[nodiscard]] std::vector<ResultsRow> rows() const;
  [[nodiscard]] ResultsRow root() const { return {json, path + ": "}; }
};

/// Reads what pkv wrote with --json. Throws IoError for what is not that: no JSON, another
/// schema, another command, members of the file or its machine that are not there, no rows.
[[nodiscard]] ResultsFile read_results(const std::string& path);

}  // namespace pkv::report
