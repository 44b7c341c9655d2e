#pragma once

// What of a block table must be copied to a device that had the last step's.

#include "persistentkv/core/page_table_view.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace pkv::cuda_serving {

/// The device's table as the host remembers it: [rows, width], rows in the order of the step, as wide as the longest
/// one's pages, rounded up so that the width seldom changes. Entries past a row's pages are -1 or what was there
/// before.
class TableShadow {
 public:
  struct Rows {
    std::int64_t first = 0;
    std::int64_t count = 0;
    friend bool operator==(const Rows&, const Rows&) = default;
  };

  /// Takes over the step's rows and says which of the table's are to be copied. `table` is dense, int32 and in host
  /// memory; row r has pages[r] >= 1 entries. Valid until the next call.
  [[nodiscard]] std::span<const Rows> update(const PageTableView& table, std::span<const std::int64_t> pages);

  [[nodiscard]] const std::int32_t* row(std::int64_t row) const noexcept { return entries_.data() + row * width_; }
  [[nodiscard]] std::int64_t width() const noexcept { return width_; }
  /// Rows seen since the width last changed, at most.
  [[nodiscard]] std::int64_t rows() const noexcept { return static_cast<std::int64_t>(entries_.size()) / width_; }

 private:
  std::int64_t width_ = 1;
  std::vector<std::int32_t> entries_;  // [rows, width]
  std::vector<Rows> changed_;
};

}  // namespace pkv::cuda_serving
