#pragma once

// What the readers of all formats have in common: how numbers are read and what a row must hold.

#include "byte_file.hpp"
#include "persistentkv/trace/readers.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace pkv::detail {

/// One value of a row, as it stands in the file.
struct Cell {
  std::int64_t line = 0;
  std::string_view column;
  std::string_view text;
};

class FileSource : public RequestSource {
 public:
  [[nodiscard]] ArrivalUnit arrival_unit() const noexcept final { return unit_; }
  [[nodiscard]] std::string name() const final;
  [[nodiscard]] std::int64_t skipped_rows() const noexcept final { return skipped_rows_; }

 protected:
  FileSource(std::string path, TraceFormat format, ArrivalUnit unit);

  void set_arrival_unit(ArrivalUnit unit) noexcept { unit_ = unit; }

  [[noreturn]] void fail(std::int64_t line, std::string_view message) const { fail_at(path_, line, message); }
  /// "COLUMN is 'VALUE', must be BOUND".
  [[noreturn]] void fail(const Cell& cell, std::string_view bound) const;

  [[nodiscard]] std::int64_t integer(const Cell& cell, std::int64_t low, std::int64_t high) const;
  [[nodiscard]] std::int64_t tokens(const Cell& cell) const;
  /// A decimal number >= 0 of units of `unit_us` microseconds, to the nearest microsecond.
  [[nodiscard]] std::int64_t decimal_us(const Cell& cell, double unit_us) const;

  /// Stores the token counts. False, and counted, where there is nothing to decode.
  [[nodiscard]] bool set_tokens(Request& request, const Cell& prompt, const Cell& decode);
  /// Stores an arrival as the file gives it, after set_tokens.
  void set_arrival(Request& request, const Cell& cell, std::int64_t arrival);
  /// Stores a time of any origin, as microseconds since the first one, after set_tokens.
  void set_time_us(Request& request, const Cell& cell, std::int64_t time_us);

 private:
  std::string path_;
  TraceFormat format_;
  ArrivalUnit unit_;
  std::int64_t skipped_rows_ = 0;
  bool has_first_ = false;
  std::int64_t first_time_us_ = 0;
  std::int64_t last_arrival_ = 0;
};

}  // namespace pkv::detail
