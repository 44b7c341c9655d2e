#pragma once

/// Which pages each live sequence holds, and the block table of a step made from them.

#include "persistentkv/core/page_table_view.hpp"
#include "persistentkv/kvcache/page_pool.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace pkv {

/// Page lists by slot, a small integer that names a live sequence and is used again after it. Slots and lists keep
/// their storage, so that a steady load allocates nothing. Owns no page: see SequenceAllocator. Not thread-safe.
class BlockTables {
 public:
  /// A slot with no pages: the one closed last, or the next new one.
  [[nodiscard]] std::int32_t open();

  /// Ends a sequence. Throws InvalidArgument, as do the calls below, for a slot that is not open.
  void close(std::int32_t slot);

  /// The sequence's next page.
  void append(std::int32_t slot, PageId page);

  /// The pages of a sequence, in order. Valid until the slot changes.
  [[nodiscard]] std::span<const PageId> pages(std::int32_t slot) const;

  [[nodiscard]] std::int64_t open_slots() const noexcept {
    return static_cast<std::int64_t>(lists_.size() - closed_.size());
  }

  /// The table [slots.size(), pages of the longest of them], row r for slots[r], -1 past a row's end. Valid until the
  /// next call: the buffer is used again.
  [[nodiscard]] PageTableView dense(std::span<const std::int32_t> slots);

 private:
  struct List {
    std::vector<PageId> pages;
    bool open = false;
  };

  [[nodiscard]] std::size_t require_open(std::int32_t slot) const;

  std::vector<List> lists_;           // [slots ever open at once]
  std::vector<std::int32_t> closed_;  // slots to be used again, the last one first
  std::vector<std::int32_t> dense_;   // [rows, max_pages] of the last export, and room for a larger one
};

}  // namespace pkv
