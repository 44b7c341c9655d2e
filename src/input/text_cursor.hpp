#pragma once

#include <cstddef>
#include <iterator>

namespace pkv::input {

/// Walks a text for a parser that takes iterators, and tells outsiders in `read` how far it has come.
class TextCursor {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  TextCursor(const char* at, const char** read) : at_(at), read_(read) {}
  reference operator*() const { return *at_; }
  TextCursor& operator++() {
    *read_ = ++at_;
    return *this;
  }
  friend bool operator==(const TextCursor& a, const TextCursor& b) { return a.at_ == b.at_; }

 private:
  const char* at_;
  const char** read_;
};

/// Where the line of the value that was read last may end. A number is known to have ended only by what follows it,
/// which may be the end of its line.
[[nodiscard]] inline const char* end_of_value(const char* begin, const char* read) noexcept {
  return read > begin && read[-1] == '\n' ? read - 1 : read;
}

}  // namespace pkv::input
