#include "text_file.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <system_error>

namespace pkv::input {

std::string read_text(const std::filesystem::path& path, std::size_t max_bytes, std::string_view what) {
  constexpr std::size_t kPieceBytes = std::size_t{1} << 16;  // what is named may have no size, as a pipe has none
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) throw IoError(fmt::format("{}: is a directory", path.string()));
  std::ifstream file(path, std::ios::binary);
  if (!file) throw IoError(fmt::format("{}: cannot be opened", path.string()));
  std::string text;
  while (file && text.size() <= max_bytes) {
    const std::size_t before = text.size();
    text.resize(before + std::min(kPieceBytes, max_bytes - before + 1));
    file.read(text.data() + before, static_cast<std::streamsize>(text.size() - before));
    text.resize(before + static_cast<std::size_t>(file.gcount()));
  }
  if (file.bad()) throw IoError(fmt::format("{}: cannot be read", path.string()));
  if (text.size() > max_bytes)
    throw IoError(fmt::format("{}: has more than {} bytes, {} has at most that", path.string(), max_bytes, what));
  return text;
}

}  // namespace pkv::input
