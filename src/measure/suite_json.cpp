#include "input/text_cursor.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/core/step.hpp"
#include "persistentkv/measure/suite.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstddef>
#include <set>
#include <utility>

namespace pkv {

namespace {

using input::TextCursor;
using nlohmann::json;

constexpr std::size_t kMaxNameBytes = 100;

/// Text of a stranger as it can be shown: in quotes, escaped, and cut where it is long.
std::string shown(std::string_view text) {
  const bool cut = text.size() > kMaxNameBytes;
  return json(text.substr(0, kMaxNameBytes)).dump(-1, ' ', true, json::error_handler_t::replace) + (cut ? "..." : "");
}

/// Receives the text from the parser as it is read and refuses what cannot belong to a suite on the spot, so that
/// neither nesting nor size of what is not asked for costs memory.
class SuiteReader final : public json::json_sax_t {
 public:
  SuiteReader(std::string_view text, const std::string& source) : text_(text), read_(text.data()), source_(source) {}

  std::vector<Workload> parse() {
    json::sax_parse(TextCursor(text_.data(), &read_), TextCursor(text_.data() + text_.size(), &read_), this);
    if (suite_.empty()) fail("the suite has no workload, must have at least 1");
    return std::move(suite_);
  }

  bool null() override { return scalar("null"); }
  bool boolean(bool value) override { return scalar(value ? "true" : "false"); }
  bool number_integer(number_integer_t value) override { return length(value, std::to_string(value)); }
  bool number_unsigned(number_unsigned_t value) override {
    constexpr number_unsigned_t kTooMuch = number_unsigned_t{kMaxRowTokens} + 1;
    return length(static_cast<std::int64_t>(std::min(value, kTooMuch)), std::to_string(value));
  }
  bool number_float(number_float_t, const string_t& text) override { return scalar(text.substr(0, kMaxNameBytes)); }
  bool string(string_t& value) override { return scalar(shown(value)); }
  bool binary(binary_t&) override { return scalar("binary data"); }

  bool start_object(std::size_t) override {
    if (place_ != Place::kBefore) scalar("an object");
    place_ = Place::kSuite;
    return true;
  }
  bool key(string_t& name) override {
    if (name.empty() || name.size() > kMaxNameBytes)
      fail(fmt::format("the name {} has {} bytes, must have 1 to {}", shown(name), name.size(), kMaxNameBytes));
    if (!names_.insert(name).second) fail(fmt::format("{} is given twice, must be given once", shown(name)));
    suite_.push_back({name, {}});
    return true;
  }
  bool end_object() override { return true; }
  bool start_array(std::size_t) override {
    if (place_ != Place::kSuite) scalar("an array");
    place_ = Place::kLengths;
    return true;
  }
  bool end_array() override {
    const std::vector<std::int32_t>& lengths = suite_.back().lengths;
    if (lengths.empty()) fail(fmt::format("{} has 0 rows, must have at least 1", shown(suite_.back().name)));
    if (std::ranges::all_of(lengths, [](std::int32_t tokens) { return tokens == 0; }))
      fail(fmt::format("{} has {} rows of 0 tokens, one at least must have more", shown(suite_.back().name),
                       lengths.size()));
    place_ = Place::kSuite;
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const json::exception& error) override {
    fail(fmt::format("not valid JSON: {}", std::string_view(error.what()).substr(0, 300)));
  }

 private:
  enum class Place { kBefore, kSuite, kLengths };

  /// What stands where only something else may; never returns.
  bool scalar(std::string_view what) {
    switch (place_) {
      case Place::kBefore:
        fail(fmt::format("the suite is {}, must be an object of arrays", what));
      case Place::kSuite:
        fail(fmt::format("{} is {}, must be an array of lengths", shown(suite_.back().name), what));
      case Place::kLengths:
        break;
    }
    fail(fmt::format("{} is {}, must be a whole number of tokens", row(), what));
  }

  bool length(std::int64_t tokens, const std::string& text) {
    if (place_ != Place::kLengths) return scalar(text);
    if (tokens < 0 || tokens > kMaxRowTokens)
      fail(fmt::format("{} is {}, must be in [0, {}] tokens", row(), text, kMaxRowTokens));
    std::vector<std::int32_t>& lengths = suite_.back().lengths;
    if (lengths.size() == static_cast<std::size_t>(kMaxBatch))
      fail(fmt::format("{} has more than {} rows, must have at most that", shown(suite_.back().name), kMaxBatch));
    lengths.push_back(static_cast<std::int32_t>(tokens));
    return true;
  }

  /// The row that comes next, by name.
  [[nodiscard]] std::string row() const {
    return fmt::format("{}[{}]", shown(suite_.back().name), suite_.back().lengths.size());
  }

  [[noreturn]] void fail(const std::string& message) const {
    const char* const end = input::end_of_value(text_.data(), read_);
    throw IoError(fmt::format("{}:{}: {}", source_, 1 + std::count(text_.data(), end, '\n'), message));
  }

  std::string_view text_;
  const char* read_;  // how far the parser is
  std::string source_;
  Place place_ = Place::kBefore;
  std::vector<Workload> suite_;
  std::set<std::string> names_;
};

}  // namespace

std::vector<Workload> parse_suite(std::string_view json, const std::string& source) {
  return SuiteReader(json, source).parse();
}

}  // namespace pkv
