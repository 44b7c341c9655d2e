#include "conformance/problem.hpp"
#include "conformance/random.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace pkv::conformance {

namespace {

/// Keeps `values` in `bytes` as integers of `type`.
IndexView store(const std::vector<std::int64_t>& values, IndexType type, Bytes& bytes) {
  const std::size_t width = type == IndexType::kI32 ? 4 : 8;
  bytes.resize(values.size() * width);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto narrow = static_cast<std::int32_t>(values[i]);
    std::memcpy(bytes.data() + i * width, width == 4 ? static_cast<const void*>(&narrow) : &values[i], width);
  }
  return {bytes.data(), std::ssize(values), type, MemorySpace::kHost};
}

std::int64_t pages_of(std::int64_t length, int page_size) {
  return length <= 0 ? 0 : (length + page_size - 1) / page_size;
}

/// What serving engines leave past a row's end.
std::int64_t garbage(Random& random) {
  constexpr std::int64_t kValues[] = {-1, -1, 0, 1 << 30, INT32_MAX, INT32_MIN};
  return random.pick(std::span<const std::int64_t>(kValues));
}

}  // namespace

StepData::StepData(const ProblemSpec& spec, std::uint64_t seed) {
  step_.shape = spec.shape;
  step_.dtype = spec.dtype;
  step_.page_size = spec.page_size;
  step_.batch = std::ssize(spec.lengths);
  make_lengths(spec);
  make_table(spec, seed);
  step_.validate();
}

void StepData::make_lengths(const ProblemSpec& spec) {
  std::vector<std::int64_t> values = spec.lengths;
  step_.lengths.cumulative =
      spec.lengths_form == LengthsForm::kCumulative32 || spec.lengths_form == LengthsForm::kCumulative64;
  if (step_.lengths.cumulative) {
    values.insert(values.begin(), 7);
    std::partial_sum(values.begin(), values.end(), values.begin());
  }
  if (spec.lengths_form == LengthsForm::kDelta) {
    step_.lengths.delta = 3;
    for (std::int64_t& value : values) value -= 3;
  }
  const bool wide = spec.lengths_form == LengthsForm::kI64 || spec.lengths_form == LengthsForm::kCumulative64;
  step_.lengths.values = store(values, wide ? IndexType::kI64 : IndexType::kI32, lengths_);
}

void StepData::make_table(const ProblemSpec& spec, std::uint64_t seed) {
  Random random(seed);
  std::int64_t used = 0;
  std::int64_t widest = 0;
  for (const std::int64_t length : spec.lengths) {
    used += pages_of(length, spec.page_size);
    widest = std::max(widest, pages_of(length, spec.page_size));
  }
  step_.num_pages = used + 3;  // some belong to nobody
  std::vector<std::int64_t> free(static_cast<std::size_t>(step_.num_pages));
  std::iota(free.begin(), free.end(), 0);
  random.shuffle(free);

  std::vector<std::vector<std::int64_t>> rows;
  for (const std::int64_t length : spec.lengths) {
    const auto count = static_cast<std::ptrdiff_t>(pages_of(length, spec.page_size));
    rows.emplace_back(free.end() - count, free.end());
    free.erase(free.end() - count, free.end());
  }
  if (spec.share_prefix && rows.size() >= 2) {
    const std::int64_t full = std::min(spec.lengths[0], spec.lengths[1]) / spec.page_size;
    if (full > 0) std::copy_n(rows[0].begin(), full, rows[1].begin());
  }

  PageTableView& table = step_.table;
  const bool wide = spec.table == TableForm::kDense64 || spec.table == TableForm::kCsr64;
  const IndexType type = wide ? IndexType::kI64 : IndexType::kI32;
  std::vector<std::int64_t> entries;
  if (spec.table == TableForm::kCsr32 || spec.table == TableForm::kCsr64) {
    std::vector<std::int64_t> offsets;
    for (const auto& row : rows) {
      entries.push_back(garbage(random));  // belongs to the row before
      offsets.push_back(std::ssize(entries));
      entries.insert(entries.end(), row.begin(), row.end());
    }
    offsets.push_back(std::ssize(entries));
    table.row_offsets = store(offsets, type, offsets_);
    table.entries = store(entries, type, entries_);
    return;
  }

  const bool slots = spec.table == TableForm::kTokenSlots;
  if (slots) table.entry_stride = table.entry_divisor = spec.page_size;
  table.entries_per_row = (widest + 2) * table.entry_stride;
  table.row_stride = table.entries_per_row + 1;
  std::vector<std::int64_t> order(rows.size() + 2);  // table rows; two of them serve nobody
  std::iota(order.begin(), order.end(), 0);
  if (spec.table == TableForm::kRowIds || slots) {
    random.shuffle(order);
    table.row_ids = store(order, IndexType::kI32, ids_);
  }
  for (std::int64_t i = 0; i < std::ssize(order) * table.row_stride; ++i) entries.push_back(garbage(random));
  for (std::size_t r = 0; r < rows.size(); ++r) {
    auto entry = entries.begin() + order[r] * table.row_stride;
    for (const std::int64_t page : rows[r])
      for (std::int64_t i = 0; i < table.entry_stride; ++i) *entry++ = slots ? page * spec.page_size + i : page;
  }
  table.entries = store(entries, type, entries_);
}

}  // namespace pkv::conformance
