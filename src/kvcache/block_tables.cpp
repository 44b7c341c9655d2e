#include "persistentkv/kvcache/block_tables.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pkv {

std::int32_t BlockTables::open() {
  if (closed_.empty()) {
    lists_.push_back({.pages = {}, .open = true});
    return static_cast<std::int32_t>(lists_.size() - 1);
  }
  const std::int32_t slot = closed_.back();
  closed_.pop_back();
  lists_[static_cast<std::size_t>(slot)].open = true;
  return slot;
}

void BlockTables::close(std::int32_t slot) {
  List& list = lists_[require_open(slot)];
  list.open = false;
  list.pages.clear();
  closed_.push_back(slot);
}

void BlockTables::append(std::int32_t slot, PageId page) { lists_[require_open(slot)].pages.push_back(page); }

std::span<const PageId> BlockTables::pages(std::int32_t slot) const { return lists_[require_open(slot)].pages; }

PageTableView BlockTables::dense(std::span<const std::int32_t> slots) {
  std::size_t width = 0;
  for (const std::int32_t slot : slots) width = std::max(width, lists_[require_open(slot)].pages.size());
  if (dense_.size() < slots.size() * width) dense_.resize(slots.size() * width);
  auto out = dense_.begin();
  for (const std::int32_t slot : slots) {
    const std::vector<PageId>& pages = lists_[require_open(slot)].pages;
    out = std::copy(pages.begin(), pages.end(), out);
    out = std::fill_n(out, width - pages.size(), -1);
  }
  return PageTableView::dense(dense_.data(), static_cast<std::int64_t>(slots.size()), static_cast<std::int64_t>(width));
}

std::size_t BlockTables::require_open(std::int32_t slot) const {
  if (slot < 0 || static_cast<std::size_t>(slot) >= lists_.size())
    throw InvalidArgument(fmt::format("slot is {}, must be in [0, {})", slot, lists_.size()));
  const auto index = static_cast<std::size_t>(slot);
  if (!lists_[index].open) throw InvalidArgument(fmt::format("slot {} is closed, must be open", slot));
  return index;
}

}  // namespace pkv
