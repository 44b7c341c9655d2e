#pragma once

#include <string_view>

namespace pkv::detail {

/// The "schema" of every profile; its version is DeviceProfile::kSchemaVersion.
inline constexpr std::string_view kProfileSchema = "persistentkv.device-profile";

}  // namespace pkv::detail
