#pragma once

// The files of profiles/, as they were when this library was configured (built_in_profiles.cpp.in).

#include <span>
#include <string_view>

namespace pkv::detail {

struct BuiltInProfile {
  std::string_view name;
  std::string_view json;
};

[[nodiscard]] std::span<const BuiltInProfile> built_in_profiles() noexcept;

}  // namespace pkv::detail
