#pragma once

/// The block table of a step, in every form that serving engines hold one.

#include "persistentkv/core/index_view.hpp"

#include <cstdint>

namespace pkv {

/// Where the page of (row r, page j) is written down:
///   base(r)  = row_offsets ? row_offsets[r]                          (CSR, FlashInfer's indptr: batch + 1 entries)
///                          : (row_ids ? row_ids[r] : r) * row_stride (a rectangular table, vLLM and SGLang)
///   page     = entries[base(r) + j * entry_stride] / entry_divisor
/// SGLang's table holds token slots: entry_stride = entry_divisor = page_size. Entries past a row's last page, which is
/// ceil(length / page_size) - 1, are never used: they may be -1 or garbage.
struct PageTableView {
  IndexView entries;
  IndexView row_offsets;             ///< CSR offsets into entries, [batch + 1]; empty for a rectangular table
  IndexView row_ids;                 ///< optional [batch]: which table row serves row r; rectangular tables only
  std::int64_t row_stride = 0;       ///< entries from one table row to the next; rectangular tables only
  std::int64_t entries_per_row = 0;  ///< entries of a table row that may be read; rectangular tables only
  std::int64_t entry_stride = 1;     ///< >= 1
  std::int64_t entry_divisor = 1;    ///< >= 1

  /// A dense rectangular table [batch, max_pages].
  template <class Index>
  [[nodiscard]] static PageTableView dense(const Index* entries, std::int64_t batch, std::int64_t max_pages) noexcept {
    PageTableView table;
    table.entries = IndexView::host(entries, batch * max_pages);
    table.row_stride = table.entries_per_row = max_pages;
    return table;
  }
  /// CSR: row r owns entries [indptr[r], indptr[r + 1]).
  template <class Index>
  [[nodiscard]] static PageTableView csr(const Index* indptr, std::int64_t batch, const Index* entries) noexcept {
    PageTableView table;
    table.row_offsets = IndexView::host(indptr, batch + 1);
    table.entries = IndexView::host(entries, static_cast<std::int64_t>(indptr[batch]));
    return table;
  }

  // The accessors below read host memory, and trust what validate() has checked.

  /// First entry of row r.
  [[nodiscard]] std::int64_t base(std::int64_t row) const noexcept {
    if (row_offsets) return row_offsets.at(row);
    return (row_ids ? row_ids.at(row) : row) * row_stride;
  }
  /// Pages that row r's entries can name.
  [[nodiscard]] std::int64_t capacity_pages(std::int64_t row) const noexcept {
    const std::int64_t readable = row_offsets ? row_offsets.at(row + 1) - row_offsets.at(row) : entries_per_row;
    return readable <= 0 ? 0 : (readable - 1) / entry_stride + 1;
  }
  /// Physical page of page j of the row whose first entry is `base`.
  [[nodiscard]] std::int64_t page(std::int64_t row_base, std::int64_t j) const noexcept {
    const std::int64_t entry = entries.at(row_base + j * entry_stride);
    return entry_divisor == 1 || entry < 0 ? entry : entry / entry_divisor;
  }

  /// The descriptor's own bounds, for `batch` rows: null entries, strides below 1, offsets that fall, row ids or
  /// rows that leave the entries. Throws InvalidArgument. Device-resident arrays are only checked for presence and
  /// size.
  void validate(std::int64_t batch) const;
};

}  // namespace pkv
