#pragma once

// A CSV file with a header, by way of fast-cpp-csv-parser.

#include "byte_file.hpp"

#define CSV_IO_NO_THREAD
#include <libfccp/csv.h>

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <tuple>
#include <utility>

namespace pkv::detail {

/// Adds the end of line that may be missing at the end: the library would look for it in bytes left from before.
class CsvBytes final : public io::ByteSourceBase {
 public:
  explicit CsvBytes(ByteFile file) : file_(std::move(file)) {}

  int read(char* buffer, int size) override {
    const auto capacity = static_cast<std::size_t>(size);
    std::size_t count = file_.read(buffer, capacity);
    if (count > 0) last_ = buffer[count - 1];
    if (count < capacity && last_ != '\n') buffer[count++] = last_ = '\n';
    return static_cast<int>(count);
  }

 private:
  ByteFile file_;
  char last_ = '\n';
};

/// N columns by name, in any order, others ignored. A cell is null where the header lacks its column.
template <unsigned N>
class CsvTable {
 public:
  using Names = std::array<const char*, N>;
  using Cells = std::array<const char*, N>;

  CsvTable(ByteFile file, const Names& names)
      : path_(file.path()), reader_(path_, std::unique_ptr<io::ByteSourceBase>(new CsvBytes(std::move(file)))) {
    explain_errors([&] {
      const auto policy = io::ignore_extra_column | io::ignore_missing_column;
      std::apply([&](auto... name) { reader_.read_header(policy, name...); }, names);
    });
    for (unsigned i = 0; i < N; ++i) has_[i] = reader_.has_column(names[i]);
  }

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] bool has(unsigned column) const noexcept { return has_[column]; }
  /// Of the row last read, or the header's.
  [[nodiscard]] std::int64_t line() const noexcept { return reader_.get_file_line(); }

  /// The cells stay valid until the next call. False at the end. Throws IoError.
  [[nodiscard]] bool next(Cells& cells) {
    cells.fill(nullptr);
    bool more = false;
    explain_errors([&] { more = std::apply([&](auto&... cell) { return reader_.read_row(cell...); }, cells); });
    return more;
  }

 private:
  /// The library's messages name no bound and cut the path; ours are of one form.
  template <class Read>
  void explain_errors(Read read) {
    try {
      read();
    } catch (const io::error::duplicated_column_in_header& error) {
      fail_at(path_, line(),
              fmt::format("column {} stands in the header twice, must be there once", shown(error.column_name)));
    } catch (const io::error::header_missing&) {
      fail_at(path_, 1, "is empty, must start with a header");
    } catch (const io::error::too_few_columns&) {
      fail_at(path_, line(), "has fewer columns than the header, must have as many");
    } catch (const io::error::too_many_columns&) {
      fail_at(path_, line(), "has more columns than the header, must have as many");
    } catch (const io::error::escaped_string_not_closed&) {
      fail_at(path_, line(), "has a quote that is not closed on its line");
    } catch (const io::error::line_length_limit_exceeded&) {
      fail_at(path_, line(), fmt::format("is too long, must be shorter than {} bytes", kMaxLineBytes));
    }
  }

  std::string path_;
  io::CSVReader<N, io::trim_chars<' ', '\t'>, io::double_quote_escape<',', '"'>, io::throw_on_overflow,
                io::empty_line_comment>
      reader_;
  std::array<bool, N> has_{};
};

}  // namespace pkv::detail
