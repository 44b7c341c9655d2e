#include "built_in_suites.hpp"
#include "input/text_file.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/measure/suite.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstddef>

namespace pkv {

namespace {

constexpr std::size_t kMaxBytes = std::size_t{1} << 24;

}  // namespace

std::vector<Workload> load_suite(std::string_view name_or_file) {
  if (name_or_file.find('/') != std::string_view::npos || name_or_file.ends_with(".json")) {
    const std::string path(name_or_file);
    return parse_suite(input::read_text(path, kMaxBytes, "a suite"), path);
  }
  for (const detail::BuiltInSuite& suite : detail::built_in_suite_files())
    if (suite.name == name_or_file) return parse_suite(suite.json, fmt::format("built-in {}.json", suite.name));
  throw InvalidArgument(fmt::format("suite is '{}', must be one of {}, or a file: a path with a '/' or to a .json",
                                    name_or_file, fmt::join(built_in_suites(), ", ")));
}

std::vector<std::string_view> built_in_suites() {
  std::vector<std::string_view> names;
  for (const detail::BuiltInSuite& suite : detail::built_in_suite_files()) names.push_back(suite.name);
  return names;
}

}  // namespace pkv
