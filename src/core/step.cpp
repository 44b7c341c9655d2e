#include "persistentkv/core/step.hpp"

#include "checks.hpp"

#include <algorithm>
#include <cstdint>

namespace pkv {

namespace {

/// Length of a row before it is clamped at 0, with the overflow of hostile int64 values caught.
std::int64_t checked_length(const LengthsView& lengths, std::int64_t row) {
  std::int64_t tokens = lengths.values.at(lengths.cumulative ? row + 1 : row);
  bool overflow = false;
  if (lengths.cumulative) overflow = __builtin_sub_overflow(tokens, lengths.values.at(row), &tokens);
  overflow = overflow || __builtin_add_overflow(tokens, lengths.delta, &tokens);
  if (overflow || tokens > kMaxRowTokens) {
    throw InvalidArgument(fmt::format("lengths[{}] is {}, must be at most {} tokens", row,
                                      overflow ? std::string("beyond 2^63") : fmt::to_string(tokens), kMaxRowTokens));
  }
  return tokens > 0 ? tokens : 0;
}

bool on_host(const PageTableView& table) {
  return table.entries.space == MemorySpace::kHost && table.row_offsets.space == MemorySpace::kHost &&
         table.row_ids.space == MemorySpace::kHost;
}

[[noreturn]] void refuse_length(const Step& step, std::int64_t row, std::int64_t tokens, std::int64_t capacity) {
  throw InvalidArgument(fmt::format("lengths[{}] is {} tokens, must be at most {}: the table holds {} pages of {}", row,
                                    tokens, capacity * step.page_size, capacity, step.page_size));
}

void check_lengths(const Step& step) {
  const bool bounded = on_host(step.table);
  const bool alike = !step.table.row_offsets;  // rows of a rectangular table
  std::int64_t capacity = bounded && alike ? step.table.capacity_pages(0) : 0;
  for (std::int64_t row = 0; row < step.batch; ++row) {
    const std::int64_t tokens = checked_length(step.lengths, row);
    if (!bounded) continue;
    if (!alike) capacity = step.table.capacity_pages(row);
    // No row has more pages than tokens, and the product cannot overflow.
    if (tokens > std::min(capacity, kMaxRowTokens) * step.page_size) refuse_length(step, row, tokens, capacity);
  }
}

/// Whether all of a row's pages are in range; false where that takes a closer look. Most tables are plain int32, and
/// this is a loop that compilers vectorise: long rows have thousands of pages.
bool plainly_in_range(const Step& step, std::int64_t base, std::int64_t pages) {
  if (pages == 0) return true;
  const PageTableView& table = step.table;
  if (table.entries.type != IndexType::kI32 || table.entry_stride != 1 || table.entry_divisor != 1) return false;
  const auto* entries = static_cast<const std::int32_t*>(table.entries.data) + base;
  // Of an id in [0, num_pages), neither it nor what it falls short of the last one has a sign: three instructions for
  // four.
  const auto last = static_cast<std::uint32_t>(std::min(step.num_pages, std::int64_t{1} << 31) - 1);
  std::uint32_t signs = 0;
  for (std::int64_t j = 0; j < pages; ++j) {
    const auto entry = static_cast<std::uint32_t>(entries[j]);
    signs |= entry | (last - entry);
  }
  return signs >> 31 == 0;
}

void check_pages(const Step& step, std::int64_t row) {
  const std::int64_t pages = (step.lengths.at(row) + step.page_size - 1) / step.page_size;
  const std::int64_t base = step.table.base(row);
  if (plainly_in_range(step, base, pages)) return;
  for (std::int64_t j = 0; j < pages; ++j) {
    const std::int64_t page = step.table.page(base, j);
    if (page < 0 || page >= step.num_pages) {
      throw InvalidArgument(
          fmt::format("page_table row {}, page {}: page id is {}, must be in [0, {})", row, j, page, step.num_pages));
    }
  }
}

}  // namespace

std::int64_t Step::useful_kv_bytes() const noexcept {
  std::int64_t tokens = 0;
  for (std::int64_t row = 0; row < batch; ++row) tokens += lengths.at(row);
  return tokens * shape.num_kv_heads * shape.head_dim * 2 * size_bytes(dtype);
}

void Step::validate_rows() const {
  shape.validate();
  detail::require_in_range("page_size", page_size, 1, 1 << 20);
  detail::require_in_range("num_pages", num_pages, 0, std::int64_t{1} << 40);
  detail::require_in_range("batch", batch, 0, kMaxBatch);
  if (batch == 0) return;
  detail::require_not_null("lengths", lengths.values.data);
  const std::int64_t needed = batch + (lengths.cumulative ? 1 : 0);
  if (lengths.values.size < needed)
    throw InvalidArgument(fmt::format("lengths has {} entries, must have {}", lengths.values.size, needed));
  table.validate(batch);
  if (lengths.values.space != MemorySpace::kHost) return;
  check_lengths(*this);
}

void Step::validate() const {
  validate_rows();
  validate_pages();
}

void Step::validate_pages() const {
  if (lengths.values.space != MemorySpace::kHost || !on_host(table)) return;
  for (std::int64_t row = 0; row < batch; ++row) check_pages(*this, row);
}

}  // namespace pkv
