#include "step_facts.hpp"

#include "persistentkv/core/error.hpp"
#include "persistentkv/core/step_rows.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pkv::detail {

namespace {

bool is_on_device(const IndexView& view) { return view && view.space == MemorySpace::kDevice; }

/// The step whose indices the host knows best. Throws InvalidArgument where the hint's is another.
const Step& known_step(const Step& step, const StepHint& hint) {
  if (hint.host_step == nullptr) return step;
  const Step& host = *hint.host_step;
  const bool same = host.shape == step.shape && host.dtype == step.dtype && host.page_size == step.page_size &&
                    host.num_pages == step.num_pages && host.batch == step.batch;
  if (!same)
    throw InvalidArgument("hint.host_step has another shape, dtype, page_size, num_pages or batch than the step");
  for (const IndexView* view :
       {&host.lengths.values, &host.table.entries, &host.table.row_offsets, &host.table.row_ids})
    if (is_on_device(*view))
      throw InvalidArgument("hint.host_step has indices on a device, must have all in host memory");
  return host;
}

void read_capacities(const Step& step, std::int32_t* capacities) {
  const auto capacity = [&](std::int64_t row) {
    return tokens_of_pages(step.table.capacity_pages(row), step.page_size);
  };
  if (!step.table.row_offsets) {  // a row of the table is as long as another
    if (step.batch > 0) std::fill_n(capacities, step.batch, capacity(0));
    return;
  }
  for (std::int64_t row = 0; row < step.batch; ++row) capacities[row] = capacity(row);
}

}  // namespace

StepFacts::StepFacts(const Step& step, const StepHint& hint)
    : StepFacts(known_step(step, hint), hint.max_length_tokens) {}

StepFacts::StepFacts(const Step& step, std::int64_t max_length_tokens)
    : shape(step.shape),
      dtype(step.dtype),
      page_size(step.page_size),
      from_bounds(is_on_device(step.lengths.values)),
      on_device(from_bounds || is_on_device(step.table.entries) || is_on_device(step.table.row_offsets) ||
                is_on_device(step.table.row_ids)) {
  if (max_length_tokens < 0 || max_length_tokens > kMaxRowTokens) {
    throw InvalidArgument(
        fmt::format("hint.max_length_tokens is {}, must be in [0, {}]", max_length_tokens, kMaxRowTokens));
  }
  step.validate_rows();
  // CSR offsets that only the device knows: a row may have the whole pool.
  const bool bounded = !is_on_device(step.table.row_offsets);
  batch_ = static_cast<std::size_t>(step.batch);
  size_ = bounded ? 2 * batch_ : batch_;
  if (size_ > few_.size()) many_.resize(size_);
  std::int32_t* rows = size_ > few_.size() ? many_.data() : few_.data();
  if (bounded) read_capacities(step, rows + batch_);
  if (!from_bounds) {
    for (std::int64_t row = 0; row < step.batch; ++row) rows[row] = static_cast<std::int32_t>(step.lengths.at(row));
    return;
  }
  if (bounded)
    std::copy_n(rows + batch_, batch_, rows);
  else
    std::fill_n(rows, batch_, tokens_of_pages(step.num_pages, page_size));
  if (max_length_tokens == 0) return;
  for (std::int32_t& length : std::span(rows, batch_))
    length = static_cast<std::int32_t>(std::min<std::int64_t>(length, max_length_tokens));
}

}  // namespace pkv::detail
