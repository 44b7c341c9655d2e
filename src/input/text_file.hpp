#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace pkv::input {

inline constexpr std::size_t kAnySize = std::string::npos - 1;

/// The whole text of a file of at most max_bytes. Throws IoError, "path: ...", for a folder, for what cannot be opened
/// or read and, before more of it is read, for what is larger; `what` it should be, "a profile", is for that message.
[[nodiscard]] std::string read_text(const std::filesystem::path& path, std::size_t max_bytes, std::string_view what);

}  // namespace pkv::input
