#include "json_rows.hpp"

#include <fmt/format.h>

#include <limits>

namespace pkv::detail {

void CharReader::fill() {
  position_ = 0;
  size_ = file_.read(buffer_.data(), buffer_.size());
}

void CharReader::fail_too_long() const {
  fail_at(path(), line_, fmt::format("the line or object is too long, must be at most {} bytes", kMaxLineBytes));
}

int CharReader::peek_token() {
  begin_object();
  int next = peek();
  for (; next == ' ' || next == '\t' || next == '\r' || next == '\n'; next = peek()) skip();
  return next;
}

bool CharReader::read_line(std::string& line) {
  line.clear();
  begin_object();
  int next = peek();
  if (next == kEnd) return false;
  for (; next != '\n' && next != kEnd; next = peek()) {
    line += static_cast<char>(next);
    skip();
  }
  if (next == '\n') skip();
  return true;
}

void JsonRow::begin() noexcept {
  present_.fill(false);
  ids_.clear();
  depth_ = 0;
  column_ = kIgnored;
  in_ids_ = false;
}

bool JsonRow::refuse(std::string problem) {
  problem_ = std::move(problem);
  return false;
}

bool JsonRow::scalar(std::string_view text) {
  if (in_ids_) {
    return refuse(fmt::format("{}[{}] is {}, must be an integer in [0, {}]", columns_[ids_column_], ids_.size(),
                              shown(text), std::numeric_limits<std::int64_t>::max()));
  }
  if (depth_ == 0) return refuse(fmt::format("is {}, must be an object", shown(text)));
  if (depth_ > 1 || column_ == kIgnored) return true;
  if (column_ == ids_column_)
    return refuse(fmt::format("{} is {}, must be a list of integers", columns_[column_], shown(text)));
  texts_[static_cast<std::size_t>(column_)] = text;
  return true;
}

bool JsonRow::number_integer(number_integer_t value) { return scalar(fmt::format_int(value).str()); }

bool JsonRow::number_unsigned(number_unsigned_t value) {
  if (in_ids_ && value <= static_cast<number_unsigned_t>(std::numeric_limits<std::int64_t>::max())) {
    ids_.push_back(static_cast<std::int64_t>(value));
    return true;
  }
  return scalar(fmt::format_int(value).str());
}

bool JsonRow::string(string_t& value) {
  const bool kept = in_ids_ || depth_ == 0 || (depth_ == 1 && column_ != kIgnored);
  return !kept || scalar('"' + value + '"');
}

bool JsonRow::start_object(std::size_t) {
  if (depth_ > 0 && !scalar("{...}")) return false;
  ++depth_;
  return true;
}

bool JsonRow::end_object() {
  --depth_;
  return true;
}

bool JsonRow::key(string_t& value) {
  if (depth_ > 1) return true;
  column_ = kIgnored;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (value != columns_[i]) continue;
    if (present_[i]) return refuse(fmt::format("column {} is given twice, must be there once", value));
    present_[i] = true;
    column_ = static_cast<int>(i);
  }
  return true;
}

bool JsonRow::start_array(std::size_t) {
  if (depth_ == 1 && column_ != kIgnored && column_ == ids_column_ && !in_ids_)
    in_ids_ = true;
  else if (!scalar("[...]"))
    return false;
  ++depth_;
  return true;
}

bool JsonRow::end_array() {
  --depth_;
  in_ids_ = false;  // lists inside ids are refused, so this was ids' own end, or another list's outside it
  return true;
}

bool JsonRow::parse_error(std::size_t, const std::string& token, const nlohmann::json::exception&) {
  return refuse(fmt::format("is not valid JSON at {}", shown(token)));
}

}  // namespace pkv::detail
