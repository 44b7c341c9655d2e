#include "file_source.hpp"
#include "json_rows.hpp"
#include "plain_columns.hpp"
#include "readers_detail.hpp"

#include <fmt/format.h>

#include <utility>

namespace pkv::detail {

namespace {

/// Rows of JSON with the ids of their prompt's blocks.
class JsonSource : public FileSource {
 protected:
  JsonSource(const ByteFile& file, TraceFormat format, ArrivalUnit unit, std::span<const char* const> columns, int ids)
      : FileSource(file.path(), format, unit), columns_(columns), ids_column_(ids), row_(columns, ids) {}

  [[nodiscard]] Cell cell(int column) const { return {line_, columns_[column], row_.text(column)}; }

  /// Hands the ids over to a request whose tokens are set.
  void set_prefix(Request& request) {
    const std::int64_t blocks = (request.prompt_tokens + kPrefixBlockTokens - 1) / kPrefixBlockTokens;
    const auto ids = static_cast<std::int64_t>(row_.ids().size());
    if (ids != blocks) {
      fail(line_, fmt::format("{} has {} entries, must have {}, one for every {} tokens of the prompt's {}",
                              columns_[ids_column_], ids, blocks, kPrefixBlockTokens, request.prompt_tokens));
    }
    request.prefix_block_ids.swap(row_.ids());
  }

  std::span<const char* const> columns_;
  int ids_column_;
  JsonRow row_;
  std::int64_t line_ = 1;  // the row begins on it
};

constexpr auto kPlainJsonColumns = [] {
  std::array<const char*, kPlainColumns.size() + 1> columns{};
  std::copy(kPlainColumns.begin(), kPlainColumns.end(), columns.begin());
  columns.back() = "prefix_block_ids";
  return columns;
}();
constexpr int kPrefixIds = static_cast<int>(kPlainColumns.size());
static_assert(kPlainJsonColumns.size() <= JsonRow::kMaxColumns);

class PlainJson final : public JsonSource {
 public:
  explicit PlainJson(ByteFile file)
      : JsonSource(file, TraceFormat::kPlainJson, ArrivalUnit::kSteps, kPlainJsonColumns, kPrefixIds),
        reader_(std::move(file)) {
    if (reader_.peek_token() != '[') fail(reader_.line(), "must start with '[', a list of objects");
    reader_.skip();
    has_ahead_ = read(ahead_);  // the first row says what arrivals count
  }

  bool next(Request& request) override {
    if (!has_ahead_) return false;
    std::swap(request, ahead_);
    has_ahead_ = read(ahead_);
    return true;
  }

 private:
  bool read(Request& request) {
    while (read_object()) {
      const std::int64_t index = index_++;
      PlainPresence present{};
      for (std::size_t i = 0; i < present.size(); ++i) present[i] = row_.has(static_cast<int>(i));
      const PlainChoice columns = choose_plain_columns(reader_.path(), line_, present);
      choose_unit(index, columns);
      if (!set_tokens(request, cell(columns.prompt), cell(columns.decode))) continue;
      if (columns.arrival >= 0)
        set_arrival(request, cell(columns.arrival), integer(cell(columns.arrival), 0, kMaxArrival));
      else
        set_arrival(request, {line_, "arrival (the row's index)", std::to_string(index)}, index);
      request.prefix_block_ids.clear();
      if (row_.has(kPrefixIds)) set_prefix(request);
      return true;
    }
    return false;
  }

  void choose_unit(std::int64_t index, const PlainChoice& columns) {
    const auto unit = columns.arrival == kArrivalUs ? ArrivalUnit::kMicroseconds : ArrivalUnit::kSteps;
    if (index == 0)
      set_arrival_unit(unit);
    else if (unit != arrival_unit())
      fail(line_, "arrivals count steps in one row and microseconds in another, must be alike");
  }

  /// False at the end of the list.
  bool read_object() {
    int token = reader_.peek_token();
    if (token == ',' && index_ > 0) {
      reader_.skip();
      token = reader_.peek_token();
    } else if (token == ']') {
      reader_.skip();
      if (reader_.peek_token() != CharReader::kEnd)
        fail(reader_.line(), "goes on after the list's ']', must end there");
      return false;
    } else if (index_ > 0 && token != CharReader::kEnd) {
      fail(reader_.line(), "must have ',' or ']' after an object of the list");
    }
    line_ = reader_.line();
    if (token == CharReader::kEnd) fail(line_, "ends inside the list, must end with ']'");
    if (token != '{') fail(line_, "must have an object, '{', as every element of the list");
    reader_.begin_object();
    row_.begin();
    if (!nlohmann::json::sax_parse(CharIterator(reader_), CharIterator(), &row_, nlohmann::json::input_format_t::json,
                                   false))
      fail(reader_.line(), row_.problem());
    return true;
  }

  CharReader reader_;
  std::int64_t index_ = 0;
  Request ahead_;
  bool has_ahead_ = false;
};

enum MooncakeColumn : int { kTimestamp, kInputLength, kOutputLength, kHashIds };
constexpr std::array<const char*, 4> kMooncakeColumns = {"timestamp", "input_length", "output_length", "hash_ids"};

class Mooncake final : public JsonSource {
 public:
  explicit Mooncake(ByteFile file)
      : JsonSource(file, TraceFormat::kMooncake, ArrivalUnit::kMicroseconds, kMooncakeColumns, kHashIds),
        reader_(std::move(file)) {}

  bool next(Request& request) override {
    while (read_object()) {
      const std::int64_t time_us = decimal_us(cell(kTimestamp), 1e3);
      if (!set_tokens(request, cell(kInputLength), cell(kOutputLength))) continue;
      set_time_us(request, cell(kTimestamp), time_us);
      set_prefix(request);
      return true;
    }
    return false;
  }

 private:
  bool read_object() {
    do {
      line_ = reader_.line();
      if (!reader_.read_line(text_)) return false;
    } while (text_.find_first_not_of(" \t\r") == std::string::npos);
    row_.begin();
    if (!nlohmann::json::sax_parse(text_, &row_)) fail(line_, row_.problem());
    for (int column = 0; column < static_cast<int>(kMooncakeColumns.size()); ++column)
      if (!row_.has(column)) fail(line_, fmt::format("column {} is missing", kMooncakeColumns[column]));
    return true;
  }

  CharReader reader_;
  std::string text_;
};

}  // namespace

std::unique_ptr<RequestSource> open_plain_json(ByteFile file) { return std::make_unique<PlainJson>(std::move(file)); }
std::unique_ptr<RequestSource> open_mooncake(ByteFile file) { return std::make_unique<Mooncake>(std::move(file)); }

}  // namespace pkv::detail
