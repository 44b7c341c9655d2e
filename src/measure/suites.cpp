#include "built_in_suites.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/measure/suite.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <fstream>
#include <system_error>

namespace pkv {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMaxBytes = std::size_t{1} << 24;

std::string read_text(const std::string& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) throw IoError(fmt::format("{}: is a directory", path));
  std::ifstream file(path, std::ios::binary);
  if (!file) throw IoError(fmt::format("{}: cannot be opened", path));
  std::string text(kMaxBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) throw IoError(fmt::format("{}: cannot be read", path));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kMaxBytes)
    throw IoError(fmt::format("{}: has more than {} bytes, a suite has at most that", path, kMaxBytes));
  return text;
}

}  // namespace

std::vector<Workload> load_suite(std::string_view name_or_file) {
  if (name_or_file.find('/') != std::string_view::npos || name_or_file.ends_with(".json")) {
    const std::string path(name_or_file);
    return parse_suite(read_text(path), path);
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
