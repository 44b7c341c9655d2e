#include "persistentkv/kvcache/page_pool.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>
#include <utility>

namespace pkv {

PagePool::PagePool(std::int64_t num_pages, std::optional<std::uint64_t> shuffle_seed) {
  if (num_pages < 1 || num_pages > kMaxPoolPages)
    throw InvalidArgument(fmt::format("num_pages is {}, must be in [1, {}]", num_pages, kMaxPoolPages));
  free_.resize(static_cast<std::size_t>(num_pages));
  references_.resize(static_cast<std::size_t>(num_pages));
  std::iota(free_.rbegin(), free_.rend(), PageId{0});
  if (!shuffle_seed) return;
  // Not std::shuffle: its draws differ from one standard library to the next.
  std::mt19937_64 random(*shuffle_seed);
  for (std::size_t left = free_.size(); left > 1; --left) std::swap(free_[left - 1], free_[random() % left]);
}

PageId PagePool::take() {
  const PageId page = free_.back();
  free_.pop_back();
  references_[static_cast<std::size_t>(page)] = 1;
  peak_used_ = std::max(peak_used_, used_pages());
  return page;
}

std::optional<PageId> PagePool::allocate() {
  if (available_pages() == 0) return std::nullopt;
  return take();
}

bool PagePool::try_reserve(std::int64_t pages) {
  if (pages < 0) throw InvalidArgument(fmt::format("pages to reserve is {}, must be >= 0", pages));
  if (pages > available_pages()) return false;
  reserved_ += pages;
  return true;
}

PageId PagePool::take_reserved() {
  if (reserved_ == 0) throw InvalidArgument("no page is reserved, must be at least 1 to take a reserved page");
  --reserved_;
  return take();
}

void PagePool::cancel_reservation(std::int64_t pages) {
  if (pages < 0 || pages > reserved_)
    throw InvalidArgument(fmt::format("reservation to cancel is {} pages, must be in [0, {}]", pages, reserved_));
  reserved_ -= pages;
}

void PagePool::retain(PageId page) {
  require_used(page, "retained");
  std::int32_t& references = references_[static_cast<std::size_t>(page)];
  if (references == std::numeric_limits<std::int32_t>::max())
    throw InvalidArgument(fmt::format("page {} has {} references, the most that it can have", page, references));
  ++references;
}

void PagePool::release(PageId page) {
  require_used(page, "released");
  if (--references_[static_cast<std::size_t>(page)] == 0) free_.push_back(page);
}

std::int32_t PagePool::references(PageId page) const {
  if (page < 0 || page >= num_pages())
    throw InvalidArgument(fmt::format("page is {}, must be in [0, {})", page, num_pages()));
  return references_[static_cast<std::size_t>(page)];
}

void PagePool::require_used(PageId page, const char* action) const {
  if (references(page) == 0)
    throw InvalidArgument(fmt::format("page {} has 0 references, must have at least 1 to be {}", page, action));
}

}  // namespace pkv
