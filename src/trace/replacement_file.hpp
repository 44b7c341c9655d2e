#pragma once

// A file that takes its name when it is complete.

#include <cstdio>
#include <string>
#include <string_view>

namespace pkv::detail {

/// Written beside `path` under a temporary name, which is removed unless commit() is reached.
class ReplacementFile {
 public:
  /// Throws IoError: `path` is something else than a regular file, or its folder cannot be written.
  explicit ReplacementFile(const std::string& path);
  ~ReplacementFile();
  ReplacementFile(const ReplacementFile&) = delete;
  ReplacementFile& operator=(const ReplacementFile&) = delete;

  /// Throws IoError.
  void write(std::string_view bytes);
  /// Renames to `path`. Throws IoError.
  void commit();

 private:
  [[noreturn]] void fail(int error) const;

  std::string path_;  // with links followed, so that a link stays one
  std::string temporary_;
  std::FILE* file_ = nullptr;
};

}  // namespace pkv::detail
