#pragma once

// Results as JSON files, whole or not at all.

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace pkv::report {

/// Version of the results' form. Members may be added under one version; none changes its meaning or goes away.
inline constexpr int kResultsSchema = 1;

/// {"schema", "command", "machine", "rows": []}, to be filled with rows.
[[nodiscard]] nlohmann::ordered_json make_results(std::string_view command);

/// Writes to a temporary name beside `path`, which takes its name when all is written. Throws IoError.
void write_file(const std::string& path, std::string_view text);
void write_json_file(const std::string& path, const nlohmann::ordered_json& json);

}  // namespace pkv::report
