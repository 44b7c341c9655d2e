#include "table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace pkv::report {

Table::Table(std::vector<std::string> header, std::vector<std::string> units) {
  head_.push_back(std::move(header));
  if (!units.empty()) head_.push_back(std::move(units));
}

void Table::add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

std::string Table::text() const {
  std::vector<std::size_t> widths(head_.front().size(), 0);
  for (const auto* rows : {&head_, &rows_})
    for (const auto& row : *rows)
      for (std::size_t c = 0; c < std::min(row.size(), widths.size()); ++c)
        widths[c] = std::max(widths[c], row[c].size());

  std::string text;
  const auto add_line = [&](const std::vector<std::string>& row) {
    std::string line;
    for (std::size_t c = 0; c < widths.size(); ++c) {
      const std::string& cell = c < row.size() ? row[c] : std::string();
      line += c == 0 ? fmt::format("{:<{}}", cell, widths[c]) : fmt::format("  {:>{}}", cell, widths[c]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  };
  for (const auto& row : head_) add_line(row);
  std::size_t total = 2 * (widths.size() - 1);
  for (const std::size_t width : widths) total += width;
  text += std::string(total, '-') + '\n';
  for (const auto& row : rows_) add_line(row);
  return text;
}

}  // namespace pkv::report
