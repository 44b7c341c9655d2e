#include "trace_steps.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace pkv::reproduce {

namespace {

std::int64_t pages_of(std::int64_t tokens) { return (tokens + kPageSize - 1) / kPageSize; }

Step make_step(const AttentionShape& shape, std::int64_t num_pages, const std::vector<std::int32_t>& lengths,
               const std::vector<std::int32_t>& table) {
  Step step;
  step.shape = shape;
  step.page_size = kPageSize;
  step.num_pages = num_pages;
  step.batch = static_cast<std::int64_t>(lengths.size());
  step.lengths.values = IndexView::host(lengths.data(), step.batch);
  step.table = PageTableView::dense(table.data(), step.batch, static_cast<std::int64_t>(table.size()) / step.batch);
  return step;
}

}  // namespace

std::int64_t page_bytes(const AttentionShape& shape) noexcept {
  return std::int64_t{2} * shape.num_kv_heads * kPageSize * shape.head_dim * 2;
}

TraceSteps::TraceSteps(const PaperRun& run, std::uint32_t seed, const AttentionShape& shape)
    : requests_(generate_requests(run.options(seed))),
      pages_(requests_, {.page_size = kPageSize, .hole_fraction = 0.0, .seed = seed}),
      sequence_(requests_, run.max_active),
      shape_(shape) {}

bool TraceSteps::next(BenchStep& step) {
  if (!sequence_.next(rows_)) return false;
  const std::size_t batch = rows_.rows.size();
  std::int64_t width = 0;
  for (const StepRow& row : rows_.rows) width = std::max(width, pages_of(row.length_tokens));
  lengths_.assign(batch, 0);
  q_row_.assign(batch, 0);
  table_.assign(batch * static_cast<std::size_t>(width), -1);
  for (std::size_t r = 0; r < batch; ++r) {
    const StepRow& row = rows_.rows[r];
    lengths_[r] = static_cast<std::int32_t>(row.length_tokens);
    q_row_[r] = static_cast<std::int32_t>(row.request);
    const auto pages = pages_.pages(row.request).first(static_cast<std::size_t>(pages_of(row.length_tokens)));
    std::copy(pages.begin(), pages.end(), table_.begin() + static_cast<std::ptrdiff_t>(r) * width);
  }
  step = {make_step(shape_, num_pages(), lengths_, table_), q_row_, static_cast<std::int64_t>(requests_.size())};
  return true;
}

Rotation::Rotation(const std::vector<std::int32_t>& lengths, const AttentionShape& shape, std::int64_t least_bytes,
                   std::int64_t num_pages)
    : lengths_(lengths), q_row_(lengths.size()) {
  std::iota(q_row_.begin(), q_row_.end(), 0);
  std::int64_t pages = 0;
  std::int64_t width = 0;
  for (const std::int32_t tokens : lengths_) {
    pages += pages_of(tokens);
    width = std::max(width, pages_of(tokens));
  }
  if (2 * pages > num_pages) {
    throw InvalidArgument(
        fmt::format("two steps of {} pages take turns, which must fit in a pool of {} pages", pages, num_pages));
  }
  const std::int64_t wanted = std::max<std::int64_t>(2, least_bytes / (pages * page_bytes(shape)) + 1);
  const std::int64_t count = std::min(wanted, num_pages / pages);

  std::vector<std::int32_t> order(static_cast<std::size_t>(num_pages));
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937_64(1));
  auto next = order.begin();
  tables_.resize(static_cast<std::size_t>(count));
  steps_.reserve(tables_.size());
  for (std::vector<std::int32_t>& table : tables_) {
    table.assign(lengths_.size() * static_cast<std::size_t>(width), -1);
    for (std::size_t r = 0; r < lengths_.size(); ++r) {
      const auto end = next + pages_of(lengths_[r]);
      std::copy(next, end, table.begin() + static_cast<std::ptrdiff_t>(r) * width);
      next = end;
    }
    steps_.push_back(
        {make_step(shape, num_pages, lengths_, table), q_row_, static_cast<std::int64_t>(lengths_.size())});
  }
}

}  // namespace pkv::reproduce
