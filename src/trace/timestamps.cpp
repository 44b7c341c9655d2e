#include "timestamps.hpp"

#include <date/date.h>

#include <chrono>
#include <locale>
#include <ratio>
#include <string>

namespace pkv::detail {

namespace {

constexpr std::size_t kYearEnd = std::string_view("2023").size();
constexpr std::size_t kTimeSeparator = std::string_view("2023-11-16").size();
constexpr std::size_t kSecondsEnd = std::string_view("2023-11-16 18:15:46").size();
constexpr std::size_t kLongest = std::string_view("2023-11-16 18:15:46.6805900+00:00").size();

}  // namespace

TimestampParser::TimestampParser() { stream_.imbue(std::locale::classic()); }

std::optional<std::int64_t> TimestampParser::parse_us(std::string_view text) {
  if (text.size() < kSecondsEnd || text.size() > kLongest) return std::nullopt;
  if (text.find_first_not_of("0123456789-+:.TZ ") != std::string_view::npos) return std::nullopt;
  if (text.find_first_not_of("0123456789") != kYearEnd) return std::nullopt;  // the library would take a sign
  std::string spaced(text);
  if (spaced[kTimeSeparator] == 'T') spaced[kTimeSeparator] = ' ';
  if (spaced.back() == 'Z') spaced.pop_back();
  const bool has_zone = spaced.find_first_of("+-", kSecondsEnd) != std::string::npos;

  stream_.clear();
  stream_.str(spaced);
  using Ticks = std::chrono::duration<std::int64_t, std::ratio<1, 10'000'000>>;  // seven digits of a second
  date::sys_time<Ticks> time;
  date::from_stream(stream_, has_zone ? "%F %T%Ez" : "%F %T", time);
  if (stream_.fail() || stream_.peek() != std::istringstream::traits_type::eof()) return std::nullopt;
  return date::floor<std::chrono::microseconds>(time).time_since_epoch().count();
}

}  // namespace pkv::detail
