#pragma once

/// The physical pages of a paged KV cache: who may use which, never what is in them.

#include <cstdint>
#include <optional>
#include <vector>

namespace pkv {

using PageId = std::int32_t;

/// The largest pool, in pages: bookkeeping takes 8 bytes a page.
inline constexpr std::int64_t kMaxPoolPages = std::int64_t{1} << 28;

/// Reference-counted pages over a last-in, first-out free list, so that a pool in use hands out scattered pages as a
/// serving engine's does. Pages may be reserved by number before they are taken by name, which is how a sequence is
/// promised the pages that it will grow into. Every operation is O(1) a page and allocates nothing. Not thread-safe.
class PagePool {
 public:
  /// Hands out 0, 1, 2... at first; with a seed, a permutation that depends on nothing but the seed. Throws
  /// InvalidArgument unless num_pages is in [1, kMaxPoolPages].
  explicit PagePool(std::int64_t num_pages, std::optional<std::uint64_t> shuffle_seed = std::nullopt);

  /// A page with one reference, or nothing where every free page is reserved.
  [[nodiscard]] std::optional<PageId> allocate();

  /// Sets `pages` of the free pages aside. False, and no change, where fewer are available. Throws InvalidArgument for
  /// a negative count.
  [[nodiscard]] bool try_reserve(std::int64_t pages);

  /// Takes one of the pages set aside, with one reference. Throws InvalidArgument where none is reserved, and for no
  /// other reason: a reservation is a promise.
  [[nodiscard]] PageId take_reserved();

  /// Gives back what was set aside and never taken. Throws InvalidArgument unless 0 <= pages <= reserved_pages().
  void cancel_reservation(std::int64_t pages);

  /// One more owner. Throws InvalidArgument for a foreign or free page, or one with 2^31 - 1 owners.
  void retain(PageId page);

  /// One owner less; the last one frees the page. Throws InvalidArgument for a foreign or free page.
  void release(PageId page);

  /// Owners of a page, 0 where it is free. Throws InvalidArgument for a foreign page.
  [[nodiscard]] std::int32_t references(PageId page) const;

  [[nodiscard]] std::int64_t num_pages() const noexcept { return static_cast<std::int64_t>(references_.size()); }
  [[nodiscard]] std::int64_t free_pages() const noexcept { return static_cast<std::int64_t>(free_.size()); }
  [[nodiscard]] std::int64_t used_pages() const noexcept { return num_pages() - free_pages(); }
  [[nodiscard]] std::int64_t reserved_pages() const noexcept { return reserved_; }
  /// Free and not reserved.
  [[nodiscard]] std::int64_t available_pages() const noexcept { return free_pages() - reserved_; }
  [[nodiscard]] std::int64_t peak_used_pages() const noexcept { return peak_used_; }

 private:
  PageId take();
  void require_used(PageId page, const char* action) const;

  std::vector<PageId> free_;              // the last one goes out first
  std::vector<std::int32_t> references_;  // [num_pages]
  std::int64_t reserved_ = 0;
  std::int64_t peak_used_ = 0;
};

}  // namespace pkv
