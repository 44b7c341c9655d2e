#pragma once

// The bytes of a text file, with the checks that every format needs.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

namespace pkv::detail {

/// The longest line of a CSV or JSONL file and the longest object of a JSON list, in bytes.
inline constexpr std::int64_t kMaxLineBytes = std::int64_t{1} << 24;

/// Throws IoError, "path:line: message".
[[noreturn]] void fail_at(const std::string& path, std::int64_t line, std::string_view message);

/// `text` as it can be shown in a message: in quotes, control characters escaped, cut where it is long.
[[nodiscard]] std::string shown(std::string_view text);

/// Reads once, from the beginning to the end, so that pipes will do. A byte order mark is dropped; a zero byte is an
/// error.
class ByteFile {
 public:
  /// Throws IoError.
  explicit ByteFile(const std::string& path);

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// The first bytes, up to 64 KiB, whatever has been read.
  [[nodiscard]] std::string_view head() const noexcept { return head_; }

  /// Fewer than `capacity` bytes only at the end. Throws IoError.
  [[nodiscard]] std::size_t read(char* to, std::size_t capacity);

 private:
  struct Close {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  };

  std::size_t read_file(char* to, std::size_t capacity);
  void check_text(std::string_view bytes);

  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
  std::string head_;
  std::size_t head_read_ = 0;
  std::int64_t lines_ = 0;  // ended so far
};

}  // namespace pkv::detail
