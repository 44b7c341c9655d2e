#pragma once

/// Device profiles as JSON files, and where to find them.

#include "persistentkv/policy/device_profile.hpp"

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pkv {

/// Reads a profile. Throws IoError, beginning with `source` (a file's name, say): "source:line: ..." where the text is
/// not JSON, "source: field ..." for a field that is missing, unknown, given twice, or out of its bounds, and for
/// another schema version.
[[nodiscard]] DeviceProfile parse_profile(std::string_view json, const std::string& source);

/// parse_profile of a file of at most 1 MiB. Throws IoError.
[[nodiscard]] DeviceProfile load_profile(const std::filesystem::path& path);

/// What parse_profile reads back as an equal profile. Throws InvalidArgument if `profile` is not valid.
[[nodiscard]] std::string profile_to_json(const DeviceProfile& profile);

/// Writes to a temporary name beside `path` and renames, so that nobody sees half a profile. Throws as
/// profile_to_json does, and IoError.
void save_profile(const DeviceProfile& profile, const std::filesystem::path& path);

/// A profile by name: NAME.json in the first of `directories` that has one, else the one built in under that name.
/// A name with a '/' or that ends in ".json" is a path. Throws IoError, naming what was searched.
[[nodiscard]] DeviceProfile find_profile(std::string_view name,
                                         std::span<const std::filesystem::path> directories = {});

/// The names of the profiles that every build carries: those of profiles/ in the source tree.
[[nodiscard]] std::vector<std::string_view> built_in_profile_names();

}  // namespace pkv
