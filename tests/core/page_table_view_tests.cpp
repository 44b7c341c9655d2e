#include "persistentkv/core/page_table_view.hpp"

#include "support/thrown.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace pkv {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using testing_support::thrown_by;

std::string complaint(const PageTableView& table, std::int64_t batch) {
  return thrown_by([&] { table.validate(batch); });
}

std::vector<std::int64_t> pages_of(const PageTableView& table, std::int64_t row) {
  std::vector<std::int64_t> pages;
  for (std::int64_t j = 0; j < table.capacity_pages(row); ++j) pages.push_back(table.page(table.base(row), j));
  return pages;
}

TEST(PageTableView, DenseTables) {
  const std::array<std::int32_t, 6> entries = {4, 2, -1, 7, 0, 9};
  const PageTableView table = PageTableView::dense(entries.data(), 2, 3);
  EXPECT_NO_THROW(table.validate(2));
  EXPECT_EQ(pages_of(table, 0), (std::vector<std::int64_t>{4, 2, -1}));
  EXPECT_EQ(pages_of(table, 1), (std::vector<std::int64_t>{7, 0, 9}));
}

TEST(PageTableView, SixtyFourBitEntries) {
  const std::array<std::int64_t, 2> entries = {std::int64_t{1} << 35, 1};
  const PageTableView table = PageTableView::dense(entries.data(), 1, 2);
  EXPECT_EQ(pages_of(table, 0), (std::vector<std::int64_t>{std::int64_t{1} << 35, 1}));
}

TEST(PageTableView, CompressedRows) {
  const std::array<std::int32_t, 4> indptr = {0, 2, 2, 3};
  const std::array<std::int32_t, 3> entries = {5, 6, 7};
  const PageTableView table = PageTableView::csr(indptr.data(), 3, entries.data());
  EXPECT_NO_THROW(table.validate(3));
  EXPECT_EQ(pages_of(table, 0), (std::vector<std::int64_t>{5, 6}));
  EXPECT_TRUE(pages_of(table, 1).empty());
  EXPECT_EQ(pages_of(table, 2), (std::vector<std::int64_t>{7}));
}

TEST(PageTableView, RowIdsPickTableRows) {
  const std::array<std::int32_t, 6> entries = {1, 2, 3, 4, 5, 6};
  const std::array<std::int64_t, 2> ids = {2, 0};
  PageTableView table = PageTableView::dense(entries.data(), 3, 2);
  table.row_ids = IndexView::host(ids.data(), 2);
  EXPECT_NO_THROW(table.validate(2));
  EXPECT_EQ(pages_of(table, 0), (std::vector<std::int64_t>{5, 6}));
  EXPECT_EQ(pages_of(table, 1), (std::vector<std::int64_t>{1, 2}));
}

TEST(PageTableView, TokenSlots) {
  const std::array<std::int32_t, 10> entries = {12, 13, 14, 15, 4, 5, 6, 7, 0, -1};  // pages 3 and 1, and 2 tokens more
  PageTableView table = PageTableView::dense(entries.data(), 1, 10);
  table.entry_stride = table.entry_divisor = 4;
  EXPECT_NO_THROW(table.validate(1));
  EXPECT_EQ(pages_of(table, 0), (std::vector<std::int64_t>{3, 1, 0}));
}

TEST(PageTableView, DivisionLeavesNegativeEntriesNegative) {
  const std::array<std::int32_t, 1> entries = {-1};  // -1 / 16 would be page 0
  PageTableView table = PageTableView::dense(entries.data(), 1, 1);
  table.entry_divisor = 16;
  EXPECT_EQ(table.page(0, 0), -1);
}

TEST(PageTableView, TheLastRowMayBeShort) {
  const std::array<std::int32_t, 5> entries = {};
  PageTableView table = PageTableView::dense(entries.data(), 1, 5);
  table.row_stride = 3;
  table.entries_per_row = 2;
  EXPECT_NO_THROW(table.validate(2));  // rows at 0 and 3
  EXPECT_EQ(complaint(table, 3), "page_table.entries has 5 entries, too few for batch 3 with row_stride 3");
}

TEST(PageTableView, RefusesStridesAndDivisorsBelowOne) {
  const std::array<std::int32_t, 2> entries = {};
  PageTableView table = PageTableView::dense(entries.data(), 1, 2);
  table.entry_stride = 0;
  EXPECT_EQ(complaint(table, 1), "page_table.entry_stride is 0, must be in [1, 2147483647]");
  table.entry_stride = 1;
  table.entry_divisor = -16;
  EXPECT_EQ(complaint(table, 1), "page_table.entry_divisor is -16, must be in [1, 2147483647]");
  table.entry_divisor = 1;
  table.row_stride = -2;
  EXPECT_THAT(complaint(table, 1), StartsWith("page_table.row_stride is -2,"));
}

TEST(PageTableView, RefusesEntriesThatAreNotThere) {
  const std::array<std::int32_t, 2> entries = {};
  PageTableView table = PageTableView::dense(entries.data(), 1, 2);
  table.entries_per_row = 3;
  EXPECT_EQ(complaint(table, 1), "page_table.entries_per_row is 3, must be in [0, 2]");
  table = PageTableView::dense(entries.data(), 1, 2);
  table.entries.data = nullptr;
  EXPECT_EQ(complaint(table, 1), "page_table.entries is null");
  table.entries.size = -1;
  EXPECT_THAT(complaint(table, 1), StartsWith("page_table.entries.size is -1,"));
}

TEST(PageTableView, RefusesRowIdsOutsideTheTable) {
  const std::array<std::int32_t, 4> entries = {};
  PageTableView table = PageTableView::dense(entries.data(), 2, 2);
  for (const std::int64_t id : {std::int64_t{2}, std::int64_t{-1}, INT64_MAX, INT64_MIN}) {
    const std::array<std::int64_t, 2> ids = {1, id};
    table.row_ids = IndexView::host(ids.data(), 2);
    EXPECT_EQ(complaint(table, 2), "page_table.row_ids[1] is " + std::to_string(id) + ", must be in [0, 1]");
    EXPECT_EQ(complaint(table, 3), "page_table.row_ids has 2 entries, must have batch = 3");
  }
}

TEST(PageTableView, RefusesBrokenOffsets) {
  const std::array<std::int32_t, 3> entries = {};
  const auto with = [&](const std::array<std::int32_t, 3>& indptr) {
    PageTableView table = PageTableView::csr(indptr.data(), 2, entries.data());
    table.entries.size = 3;
    return complaint(table, 2);
  };
  EXPECT_EQ(with({0, 2, 3}), "nothing was thrown");
  EXPECT_EQ(with({0, 2, 1}), "page_table.row_offsets[2] is 1, must be in [2, 3]");
  EXPECT_EQ(with({0, 2, 4}), "page_table.row_offsets[2] is 4, must be in [2, 3]");
  EXPECT_EQ(with({-1, 2, 3}), "page_table.row_offsets[0] is -1, must be in [0, 3]");

  const std::array<std::int32_t, 3> indptr = {0, 1, 2};
  PageTableView table = PageTableView::csr(indptr.data(), 2, entries.data());
  EXPECT_EQ(complaint(table, 3), "page_table.row_offsets has 3 entries, must have batch + 1 = 4");
  table.row_ids = IndexView::host(indptr.data(), 3);
  EXPECT_THAT(complaint(table, 2), HasSubstr("must be empty for CSR"));
}

TEST(PageTableView, DeviceArraysAreNotRead) {
  PageTableView table;
  table.entries = {reinterpret_cast<const void*>(8), 4, IndexType::kI32, MemorySpace::kDevice};
  table.row_offsets = {reinterpret_cast<const void*>(8), 3, IndexType::kI32, MemorySpace::kDevice};
  EXPECT_NO_THROW(table.validate(2));
  EXPECT_THAT(complaint(table, 3), StartsWith("page_table.row_offsets has 3 entries"));
}

}  // namespace
}  // namespace pkv
