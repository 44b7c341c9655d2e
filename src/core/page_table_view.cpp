#include "persistentkv/core/page_table_view.hpp"

#include "checks.hpp"

namespace pkv {

namespace {

void validate_csr(const PageTableView& table, std::int64_t batch) {
  if (table.row_offsets.size < batch + 1) {
    throw InvalidArgument(fmt::format("page_table.row_offsets has {} entries, must have batch + 1 = {}",
                                      table.row_offsets.size, batch + 1));
  }
  if (table.row_ids) throw InvalidArgument("page_table.row_ids is given with row_offsets, must be empty for CSR");
  if (table.row_offsets.space != MemorySpace::kHost) return;
  std::int64_t previous = 0;
  for (std::int64_t row = 0; row <= batch; ++row) {
    const std::int64_t offset = table.row_offsets.at(row);
    if (offset < previous || offset > table.entries.size) {
      throw InvalidArgument(fmt::format("page_table.row_offsets[{}] is {}, must be in [{}, {}]", row, offset, previous,
                                        table.entries.size));
    }
    previous = offset;
  }
}

void validate_rectangular(const PageTableView& table, std::int64_t batch) {
  detail::require_in_range("page_table.row_stride", table.row_stride, 0, INT64_MAX);
  detail::require_in_range("page_table.entries_per_row", table.entries_per_row, 0, table.entries.size);
  // The last table row whose entries all lie inside.
  const std::int64_t last =
      table.row_stride == 0 ? INT64_MAX : (table.entries.size - table.entries_per_row) / table.row_stride;
  if (!table.row_ids) {
    if (batch - 1 > last) {
      throw InvalidArgument(fmt::format("page_table.entries has {} entries, too few for batch {} with row_stride {}",
                                        table.entries.size, batch, table.row_stride));
    }
    return;
  }
  if (table.row_ids.size < batch) {
    throw InvalidArgument(
        fmt::format("page_table.row_ids has {} entries, must have batch = {}", table.row_ids.size, batch));
  }
  if (table.row_ids.space != MemorySpace::kHost) return;
  for (std::int64_t row = 0; row < batch; ++row) {
    const std::int64_t id = table.row_ids.at(row);
    if (id < 0 || id > last)
      throw InvalidArgument(fmt::format("page_table.row_ids[{}] is {}, must be in [0, {}]", row, id, last));
  }
}

}  // namespace

void PageTableView::validate(std::int64_t batch) const {
  detail::require_in_range("page_table.entry_stride", entry_stride, 1, INT32_MAX);
  detail::require_in_range("page_table.entry_divisor", entry_divisor, 1, INT32_MAX);
  detail::require_in_range("page_table.entries.size", entries.size, 0, INT64_MAX / 8);
  if (entries.size > 0) detail::require_not_null("page_table.entries", entries.data);
  if (row_offsets)
    validate_csr(*this, batch);
  else
    validate_rectangular(*this, batch);
}

}  // namespace pkv
