#include "table_shadow.hpp"

#include <algorithm>

namespace pkv::cuda_serving {

namespace {

constexpr std::int64_t kWidthStep = 64;  // pages
constexpr std::size_t kFewRows = 4;      // more copies than these cost more than one of everything

}  // namespace

std::span<const TableShadow::Rows> TableShadow::update(const PageTableView& table,
                                                       std::span<const std::int64_t> pages) {
  const auto* from = static_cast<const std::int32_t*>(table.entries.data);
  const auto rows = static_cast<std::int64_t>(pages.size());
  const std::int64_t longest = *std::max_element(pages.begin(), pages.end());
  const std::int64_t width = (longest + kWidthStep - 1) / kWidthStep * kWidthStep;
  bool all = false;
  if (width != width_) {
    width_ = width;
    entries_.clear();
  }
  if (this->rows() < rows) {
    entries_.resize(static_cast<std::size_t>(rows * width_), -1);
    all = true;
  }
  changed_.clear();
  changed_.reserve(pages.size());
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int32_t* begin = from + table.base(r);
    const std::int32_t* end = begin + pages[static_cast<std::size_t>(r)];
    const auto to = entries_.begin() + r * width_;
    if (std::equal(begin, end, to)) continue;
    std::copy(begin, end, to);
    changed_.push_back({r, 1});
  }
  if (all) {
    changed_.assign(1, {0, this->rows()});
  } else if (changed_.size() > kFewRows) {
    changed_.assign(1, {0, rows});
  }
  return changed_;
}

}  // namespace pkv::cuda_serving
