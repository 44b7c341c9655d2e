#pragma once

// A table in plain text: a header, a rule, and rows; the first column to the left, numbers to the right.

#include <string>
#include <vector>

namespace pkv::report {

class Table {
 public:
  /// `units` may be empty, or one text a column, below the header.
  explicit Table(std::vector<std::string> header, std::vector<std::string> units = {});
  void add(std::vector<std::string> row);
  [[nodiscard]] std::string text() const;

 private:
  std::vector<std::vector<std::string>> head_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace pkv::report
