#include "csv_table.hpp"
#include "file_source.hpp"
#include "plain_columns.hpp"
#include "readers_detail.hpp"
#include "timestamps.hpp"

#include <fmt/format.h>

namespace pkv::detail {

namespace {

class PlainCsv final : public FileSource {
 public:
  explicit PlainCsv(ByteFile file)
      : FileSource(file.path(), TraceFormat::kPlainCsv, ArrivalUnit::kSteps), table_(std::move(file), kPlainColumns) {
    PlainPresence present{};
    for (unsigned i = 0; i < present.size(); ++i) present[i] = table_.has(i);
    columns_ = choose_plain_columns(table_.path(), table_.line(), present);
    if (columns_.arrival == kArrivalUs) set_arrival_unit(ArrivalUnit::kMicroseconds);
  }

  bool next(Request& request) override {
    request.prefix_block_ids.clear();
    CsvTable<kPlainColumns.size()>::Cells cells;
    while (table_.next(cells)) {
      const std::int64_t row = row_++;
      const auto cell = [&](int column) { return Cell{table_.line(), kPlainColumns[column], cells[column]}; };
      if (!set_tokens(request, cell(columns_.prompt), cell(columns_.decode))) continue;
      if (columns_.arrival < 0)
        request.arrival = row;
      else
        set_arrival(request, cell(columns_.arrival), integer(cell(columns_.arrival), 0, kMaxArrival));
      return true;
    }
    return false;
  }

 private:
  CsvTable<kPlainColumns.size()> table_;
  PlainChoice columns_;
  std::int64_t row_ = 0;
};

/// A time, a prompt and a decode count: the public traces.
class TimedCsv : public FileSource {
 public:
  using Columns = CsvTable<3>::Names;  // time, prompt, decode

  bool next(Request& request) final {
    request.prefix_block_ids.clear();
    CsvTable<3>::Cells cells;
    while (table_.next(cells)) {
      const auto cell = [&](int column) { return Cell{table_.line(), columns_[column], cells[column]}; };
      const std::int64_t time_us = parse_time_us(cell(0));
      if (!set_tokens(request, cell(1), cell(2))) continue;
      set_time_us(request, cell(0), time_us);
      return true;
    }
    return false;
  }

 protected:
  TimedCsv(ByteFile file, TraceFormat format, const Columns& columns)
      : FileSource(file.path(), format, ArrivalUnit::kMicroseconds),
        columns_(columns),
        table_(std::move(file), columns) {
    for (unsigned i = 0; i < columns.size(); ++i)
      if (!table_.has(i)) fail(table_.line(), fmt::format("column {} is missing from the header", columns[i]));
  }

 private:
  [[nodiscard]] virtual std::int64_t parse_time_us(const Cell& cell) = 0;

  Columns columns_;
  CsvTable<3> table_;
};

class Azure final : public TimedCsv {
 public:
  explicit Azure(ByteFile file)
      : TimedCsv(std::move(file), TraceFormat::kAzure, {"TIMESTAMP", "ContextTokens", "GeneratedTokens"}) {}

 private:
  std::int64_t parse_time_us(const Cell& cell) override {
    const auto time_us = timestamps_.parse_us(cell.text);
    if (!time_us) fail(cell, "a date and time like 2023-11-16 18:15:46.6805900 or 2024-05-10 00:00:00.009930+00:00");
    return *time_us;
  }

  TimestampParser timestamps_;
};

class BurstGpt final : public TimedCsv {
 public:
  explicit BurstGpt(ByteFile file)
      : TimedCsv(std::move(file), TraceFormat::kBurstGpt, {"Timestamp", "Request tokens", "Response tokens"}) {}

 private:
  std::int64_t parse_time_us(const Cell& cell) override { return decimal_us(cell, 1e6); }
};

}  // namespace

std::unique_ptr<RequestSource> open_plain_csv(ByteFile file) { return std::make_unique<PlainCsv>(std::move(file)); }
std::unique_ptr<RequestSource> open_azure(ByteFile file) { return std::make_unique<Azure>(std::move(file)); }
std::unique_ptr<RequestSource> open_burstgpt(ByteFile file) { return std::make_unique<BurstGpt>(std::move(file)); }

}  // namespace pkv::detail
