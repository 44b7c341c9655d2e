#pragma once

// Pieces of HTML. Whatever comes from a results file goes through here, and is text, never markup or script.

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace pkv::report {

/// For text between tags and in quoted attributes.
[[nodiscard]] std::string escaped(std::string_view text);

/// JSON to stand inside a script element: ASCII, and without '<', so that nothing in it can end the element.
[[nodiscard]] std::string script_json(const nlohmann::json& json);

/// A number as a table shows it, with the value to sort by.
struct Cell {
  Cell(std::string text) : shown(std::move(text)) {}  // NOLINT(google-explicit-constructor)
  Cell(double value, int decimals);                   // NOLINT(google-explicit-constructor)
  std::string shown;
  std::string sort_by;  ///< empty for text
};

/// A table whose columns can be sorted. Columns are numbers, to the right, or text, by what the first row has.
[[nodiscard]] std::string html_table(std::string_view caption, const std::vector<std::string>& header,
                                     const std::vector<std::vector<Cell>>& rows);

/// A plot: a specification of page/web, and the rows that it is drawn from.
struct Plot {
  std::string spec;  ///< "limit" for web/limit.json
  std::string title;
  std::string text;  ///< what it shows
  nlohmann::json rows = nlohmann::json::array();
  nlohmann::json signals = nlohmann::json::object();  ///< values of the specification's signals, e.g. a unit
};

[[nodiscard]] std::string html_plot(const Plot& plot);

}  // namespace pkv::report
