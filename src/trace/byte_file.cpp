#include "byte_file.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace pkv::detail {

namespace {

constexpr std::size_t kHeadBytes = std::size_t{1} << 16;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::string reason(int error) { return std::generic_category().message(error); }

}  // namespace

void fail_at(const std::string& path, std::int64_t line, std::string_view message) {
  throw IoError(fmt::format("{}:{}: {}", path, line, message));
}

std::string shown(std::string_view text) {
  constexpr std::size_t kShown = 60;
  std::string result = "'";
  for (const char c : text.substr(0, kShown)) {
    if (c >= ' ' && c <= '~')
      result += c;
    else
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return result + (text.size() > kShown ? fmt::format("...' ({} bytes)", text.size()) : "'");
}

ByteFile::ByteFile(const std::string& path) : path_(path), file_(std::fopen(path.c_str(), "rb")) {
  if (!file_) fail_at(path_, 1, fmt::format("cannot be opened: {}", reason(errno)));
  std::setvbuf(file_.get(), nullptr, _IONBF, 0);
  head_.resize(kHeadBytes);
  head_.resize(read_file(head_.data(), kHeadBytes));
  if (head_.starts_with(kByteOrderMark)) head_.erase(0, kByteOrderMark.size());
}

std::size_t ByteFile::read_file(char* to, std::size_t capacity) {
  const std::size_t count = std::fread(to, 1, capacity, file_.get());
  if (std::ferror(file_.get()) != 0) fail_at(path_, lines_ + 1, fmt::format("cannot be read: {}", reason(errno)));
  return count;
}

void ByteFile::check_text(std::string_view bytes) {
  const std::size_t zero = bytes.find('\0');
  lines_ += std::count(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(std::min(zero, bytes.size())), '\n');
  if (zero != std::string_view::npos) fail_at(path_, lines_ + 1, "holds a zero byte, must be text");
}

std::size_t ByteFile::read(char* to, std::size_t capacity) {
  std::size_t count = std::min(capacity, head_.size() - head_read_);
  std::memcpy(to, head_.data() + head_read_, count);
  head_read_ += count;
  if (count < capacity) count += read_file(to + count, capacity - count);
  check_text({to, count});
  return count;
}

}  // namespace pkv::detail
