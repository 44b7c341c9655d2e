#pragma once

// JSON objects as flat rows: the members asked for, as text; all else is skipped without being kept.

#include "byte_file.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pkv::detail {

/// Characters of a file, with the line they stand on and a bound on what one object may take.
class CharReader {
 public:
  explicit CharReader(ByteFile file) : file_(std::move(file)) {}

  [[nodiscard]] const std::string& path() const noexcept { return file_.path(); }
  /// Of the next character.
  [[nodiscard]] std::int64_t line() const noexcept { return line_; }

  static constexpr int kEnd = -1;
  /// The next character, or kEnd. Throws IoError.
  [[nodiscard]] int peek() {
    if (position_ == size_) fill();
    return position_ == size_ ? kEnd : static_cast<unsigned char>(buffer_[position_]);
  }
  /// Moves on; there must be a next character. Throws IoError past the bound.
  void skip() {
    if (buffer_[position_++] == '\n') ++line_;
    if (--allowed_ < 0) fail_too_long();
  }
  /// What follows may take kMaxLineBytes from here.
  void begin_object() noexcept { allowed_ = kMaxLineBytes; }
  /// The first character that is no white space, or kEnd.
  [[nodiscard]] int peek_token();
  /// The next line without its end. False at the end.
  [[nodiscard]] bool read_line(std::string& line);

 private:
  void fill();
  [[noreturn]] void fail_too_long() const;

  ByteFile file_;
  std::vector<char> buffer_ = std::vector<char>(std::size_t{1} << 16);
  std::size_t position_ = 0;
  std::size_t size_ = 0;
  std::int64_t line_ = 1;
  std::int64_t allowed_ = kMaxLineBytes;
};

/// What nlohmann's parser reads a CharReader through; a default one is the end.
class CharIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = char;

  CharIterator() = default;
  explicit CharIterator(CharReader& reader) : reader_(&reader) {}
  char operator*() const { return static_cast<char>(reader_->peek()); }
  CharIterator& operator++() {
    reader_->skip();
    return *this;
  }
  friend bool operator==(const CharIterator& a, const CharIterator& b) { return a.at_end() == b.at_end(); }

 private:
  [[nodiscard]] bool at_end() const { return reader_ == nullptr || reader_->peek() == CharReader::kEnd; }

  CharReader* reader_ = nullptr;
};

/// Receives one object from nlohmann's parser. Scalars keep their spelling: strings their quotes, so that "12" is no
/// number; `ids_column` is a list of integers.
class JsonRow : public nlohmann::json_sax<nlohmann::json> {
 public:
  static constexpr int kIgnored = -1;
  static constexpr std::size_t kMaxColumns = 8;

  JsonRow(std::span<const char* const> columns, int ids_column) : columns_(columns), ids_column_(ids_column) {}

  void begin() noexcept;
  [[nodiscard]] bool has(int column) const noexcept { return present_[static_cast<std::size_t>(column)]; }
  [[nodiscard]] std::string_view text(int column) const noexcept { return texts_[static_cast<std::size_t>(column)]; }
  [[nodiscard]] std::vector<std::int64_t>& ids() noexcept { return ids_; }
  /// What was wrong, after a parse that failed.
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

  bool null() override { return scalar("null"); }
  bool boolean(bool value) override { return scalar(value ? "true" : "false"); }
  bool number_integer(number_integer_t value) override;
  bool number_unsigned(number_unsigned_t value) override;
  bool number_float(number_float_t, const string_t& text) override { return scalar(text); }
  bool string(string_t& value) override;
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override;
  bool key(string_t& value) override;
  bool end_object() override;
  bool start_array(std::size_t) override;
  bool end_array() override;
  bool parse_error(std::size_t, const std::string& token, const nlohmann::json::exception&) override;

 private:
  bool scalar(std::string_view text);
  bool refuse(std::string problem);

  std::span<const char* const> columns_;
  int ids_column_;
  std::array<bool, kMaxColumns> present_{};
  std::array<std::string, kMaxColumns> texts_;
  std::vector<std::int64_t> ids_;
  int depth_ = 0;
  int column_ = kIgnored;  // of the member being read
  bool in_ids_ = false;
  std::string problem_;
};

}  // namespace pkv::detail
