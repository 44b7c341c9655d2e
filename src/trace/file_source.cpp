#include "file_source.hpp"

#include "persistentkv/core/step.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <system_error>
#include <utility>

namespace pkv::detail {

FileSource::FileSource(std::string path, TraceFormat format, ArrivalUnit unit)
    : path_(std::move(path)), format_(format), unit_(unit) {}

std::string FileSource::name() const { return fmt::format("{} ({})", path_, to_string(format_)); }

void FileSource::fail(const Cell& cell, std::string_view bound) const {
  fail(cell.line, fmt::format("{} is {}, must be {}", cell.column, shown(cell.text), bound));
}

std::int64_t FileSource::integer(const Cell& cell, std::int64_t low, std::int64_t high) const {
  std::int64_t value = 0;
  const char* const end = cell.text.data() + cell.text.size();
  const auto [stop, error] = std::from_chars(cell.text.data(), end, value);
  if (error != std::errc{} || stop != end || value < low || value > high)
    fail(cell, fmt::format("an integer in [{}, {}]", low, high));
  return value;
}

std::int64_t FileSource::tokens(const Cell& cell) const { return integer(cell, 0, kMaxRowTokens); }

std::int64_t FileSource::decimal_us(const Cell& cell, double unit_us) const {
  double value = 0.0;
  const char* const end = cell.text.data() + cell.text.size();
  const auto [stop, error] = std::from_chars(cell.text.data(), end, value);
  const double high = static_cast<double>(kMaxArrival) / unit_us;
  // Written so that NaN fails too.
  if (error != std::errc{} || stop != end || !(value >= 0.0 && value <= high))
    fail(cell, fmt::format("a number in [0, {:.0f}]", high));
  return std::llround(value * unit_us);
}

bool FileSource::set_tokens(Request& request, const Cell& prompt, const Cell& decode) {
  request.prompt_tokens = tokens(prompt);
  request.decode_tokens = tokens(decode);
  if (request.prompt_tokens == 0 || request.decode_tokens == 0) {
    ++skipped_rows_;
    return false;
  }
  if (request.prompt_tokens + request.decode_tokens > kMaxRowTokens) {
    fail(decode, fmt::format("at most {}: {} + {} must not exceed {} tokens", kMaxRowTokens - request.prompt_tokens,
                             prompt.column, decode.column, kMaxRowTokens));
  }
  return true;
}

void FileSource::set_arrival(Request& request, const Cell& cell, std::int64_t arrival) {
  if (has_first_ && arrival < last_arrival_) fail(cell, "no earlier than the row before: sort the rows by arrival");
  has_first_ = true;
  last_arrival_ = arrival;
  request.arrival = arrival;
}

void FileSource::set_time_us(Request& request, const Cell& cell, std::int64_t time_us) {
  if (!has_first_) first_time_us_ = time_us;
  const std::int64_t arrival = time_us - first_time_us_;
  if (arrival > kMaxArrival) fail(cell, fmt::format("within {} us of the first request", kMaxArrival));
  set_arrival(request, cell, arrival);
}

}  // namespace pkv::detail
