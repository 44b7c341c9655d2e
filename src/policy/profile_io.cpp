#include "persistentkv/policy/profile_io.hpp"

#include "built_in_profiles.hpp"
#include "input/text_file.hpp"
#include "persistentkv/core/error.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <fstream>
#include <random>
#include <system_error>

namespace pkv {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMaxBytes = std::size_t{1} << 20;

}  // namespace

DeviceProfile load_profile(const fs::path& path) {
  return parse_profile(input::read_text(path, kMaxBytes, "a profile"), path.string());
}

void save_profile(const DeviceProfile& profile, const fs::path& path) {
  const std::string text = profile_to_json(profile);
  fs::path temporary = path;
  temporary += fmt::format(".{:08x}.tmp", std::random_device{}());
  std::ofstream file(temporary, std::ios::binary);
  file << text;
  file.close();
  std::error_code error;
  if (file) fs::rename(temporary, path, error);
  if (!file || error) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw IoError(fmt::format("{}: cannot be written{}", path.string(), error ? ": " + error.message() : ""));
  }
}

DeviceProfile find_profile(std::string_view name, std::span<const fs::path> directories) {
  if (name.find('/') != std::string_view::npos || name.ends_with(".json")) return load_profile(fs::path(name));
  std::vector<std::string> searched;
  for (const fs::path& directory : directories) {
    const fs::path path = directory / fmt::format("{}.json", name);
    std::error_code ignored;
    if (fs::exists(path, ignored)) return load_profile(path);
    searched.push_back(directory.string());
  }
  for (const detail::BuiltInProfile& profile : detail::built_in_profiles())
    if (profile.name == name) return parse_profile(profile.json, fmt::format("built-in {}.json", name));
  throw IoError(
      fmt::format("profile \"{}\" is neither built in ({}) nor in {}", name, fmt::join(built_in_profile_names(), ", "),
                  searched.empty() ? "a directory: none was given" : fmt::format("{}", fmt::join(searched, ", "))));
}

std::vector<std::string_view> built_in_profile_names() {
  std::vector<std::string_view> names;
  for (const detail::BuiltInProfile& profile : detail::built_in_profiles()) names.push_back(profile.name);
  return names;
}

}  // namespace pkv
