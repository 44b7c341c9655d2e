#include "step_facts.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pkv::detail {

namespace {

bool is_on_device(const IndexView& view) { return view && view.space == MemorySpace::kDevice; }

std::int32_t tokens_of(std::int64_t pages, int page_size) {
  const std::int64_t enough = std::min(pages, kMaxRowTokens / page_size + 1);  // the product cannot overflow
  return static_cast<std::int32_t>(std::min(enough * page_size, kMaxRowTokens));
}

}  // namespace

StepFacts::StepFacts(const Step& step, const StepHint& hint)
    : shape(step.shape),
      dtype(step.dtype),
      page_size(step.page_size),
      from_bounds(is_on_device(step.lengths.values)),
      on_device(from_bounds || is_on_device(step.table.entries) || is_on_device(step.table.row_offsets) ||
                is_on_device(step.table.row_ids)) {
  if (hint.max_length_tokens < 0 || hint.max_length_tokens > kMaxRowTokens) {
    throw InvalidArgument(
        fmt::format("hint.max_length_tokens is {}, must be in [0, {}]", hint.max_length_tokens, kMaxRowTokens));
  }
  step.validate_rows();
  const auto rows = static_cast<std::size_t>(step.batch);
  if (!is_on_device(step.table.row_offsets)) {
    capacities.resize(rows);
    for (std::size_t row = 0; row < rows; ++row)
      capacities[row] = tokens_of(step.table.capacity_pages(static_cast<std::int64_t>(row)), page_size);
  }
  if (!from_bounds) {
    lengths.resize(rows);
    for (std::size_t row = 0; row < rows; ++row)
      lengths[row] = static_cast<std::int32_t>(step.lengths.at(static_cast<std::int64_t>(row)));
    return;
  }
  lengths = capacities;
  // CSR offsets that only the device knows: a row may have the whole pool.
  if (capacities.empty()) lengths.assign(rows, tokens_of(step.num_pages, page_size));
  if (hint.max_length_tokens == 0) return;
  for (std::int32_t& length : lengths)
    length = static_cast<std::int32_t>(std::min<std::int64_t>(length, hint.max_length_tokens));
}

}  // namespace pkv::detail
