#pragma once

/// What a step says of its rows, as arrays: for those who plan it.

#include "persistentkv/core/step.hpp"

#include <cstdint>
#include <vector>

namespace pkv {

/// [batch] tokens of each row, >= 0. Of a step that validate_rows() accepts, with lengths in host memory.
[[nodiscard]] std::vector<std::int32_t> row_lengths(const Step& step);

/// [batch] tokens that each row's table entries hold, at most kMaxRowTokens; empty where the table's offsets are on a
/// device.
[[nodiscard]] std::vector<std::int32_t> row_capacities(const Step& step);

/// The same less the entries at the end of a row that are negative, which stand for no page: what is allocated. Where
/// the table is on a device, row_capacities(). Reads back from each row's last entry to its last page.
[[nodiscard]] std::vector<std::int32_t> row_allocations(const Step& step);

/// Tokens that `pages` pages of `page_size` tokens hold, at most kMaxRowTokens.
[[nodiscard]] std::int32_t tokens_of_pages(std::int64_t pages, int page_size) noexcept;

}  // namespace pkv
