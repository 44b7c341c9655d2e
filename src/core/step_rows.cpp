#include "persistentkv/core/step_rows.hpp"

#include <algorithm>

namespace pkv {

namespace {

bool on_host(const IndexView& view) noexcept { return !view || view.space == MemorySpace::kHost; }

}  // namespace

std::int32_t tokens_of_pages(std::int64_t pages, int page_size) noexcept {
  const std::int64_t enough = std::min(pages, kMaxRowTokens / page_size + 1);  // the product cannot overflow
  return static_cast<std::int32_t>(std::min(enough * page_size, kMaxRowTokens));
}

std::vector<std::int32_t> row_lengths(const Step& step) {
  std::vector<std::int32_t> lengths(static_cast<std::size_t>(step.batch));
  for (std::int64_t row = 0; row < step.batch; ++row)
    lengths[static_cast<std::size_t>(row)] = static_cast<std::int32_t>(step.lengths.at(row));
  return lengths;
}

std::vector<std::int32_t> row_capacities(const Step& step) {
  if (!on_host(step.table.row_offsets)) return {};
  std::vector<std::int32_t> capacities(static_cast<std::size_t>(step.batch));
  for (std::int64_t row = 0; row < step.batch; ++row)
    capacities[static_cast<std::size_t>(row)] = tokens_of_pages(step.table.capacity_pages(row), step.page_size);
  return capacities;
}

std::vector<std::int32_t> row_allocations(const Step& step) {
  std::vector<std::int32_t> allocations = row_capacities(step);
  const PageTableView& table = step.table;
  if (!on_host(table.entries) || !on_host(table.row_offsets) || !on_host(table.row_ids)) return allocations;
  for (std::int64_t row = 0; row < step.batch; ++row) {
    const std::int64_t needed = (step.lengths.at(row) + step.page_size - 1) / step.page_size;
    const std::int64_t base = table.base(row);
    std::int64_t pages = table.capacity_pages(row);
    while (pages > needed && table.page(base, pages - 1) < 0) --pages;
    allocations[static_cast<std::size_t>(row)] = tokens_of_pages(pages, step.page_size);
  }
  return allocations;
}

}  // namespace pkv
