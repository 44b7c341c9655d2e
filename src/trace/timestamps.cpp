#include "timestamps.hpp"

#include <date/date.h>

#include <chrono>
#include <locale>
#include <ratio>
#include <string>

namespace pkv::detail {

namespace {

constexpr std::string_view kShape = "0000-00-00 00:00:00";  // 0 stands for any digit
constexpr std::size_t kTimeSeparator = kShape.find(' ');
constexpr std::size_t kLongest = std::string_view("2023-11-16 18:15:46.6805900+00:00").size();

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// The library takes signs and missing digits, and where no digit stands for the seconds it reads a variable never set.
bool has_shape(std::string_view text) {
  if (text.size() < kShape.size()) return false;
  for (std::size_t i = 0; i < kShape.size(); ++i) {
    if (kShape[i] == '0' ? !is_digit(text[i]) : text[i] != kShape[i]) return false;
  }
  return true;
}

}  // namespace

TimestampParser::TimestampParser() { stream_.imbue(std::locale::classic()); }

std::optional<std::int64_t> TimestampParser::parse_us(std::string_view text) {
  if (text.size() > kLongest) return std::nullopt;
  std::string spaced(text);
  if (spaced.size() > kTimeSeparator && spaced[kTimeSeparator] == 'T') spaced[kTimeSeparator] = ' ';
  if (!spaced.empty() && spaced.back() == 'Z') spaced.pop_back();
  if (!has_shape(spaced)) return std::nullopt;
  const bool has_zone = spaced.find_first_of("+-", kShape.size()) != std::string::npos;

  stream_.clear();
  stream_.str(spaced);
  using Ticks = std::chrono::duration<std::int64_t, std::ratio<1, 10'000'000>>;  // seven digits of a second
  date::sys_time<Ticks> time;
  date::from_stream(stream_, has_zone ? "%F %T%Ez" : "%F %T", time);
  if (stream_.fail() || stream_.peek() != std::istringstream::traits_type::eof()) return std::nullopt;
  return date::floor<std::chrono::microseconds>(time).time_since_epoch().count();
}

}  // namespace pkv::detail
