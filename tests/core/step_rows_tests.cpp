// What a step says of its rows, in every form that lengths and tables come in.

#include "persistentkv/core/step_rows.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace pkv {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class StepRows : public ::testing::Test {
 protected:
  StepRows() {
    step_.shape = {4, 2, 64};
    step_.page_size = 16;
    step_.num_pages = 100;
    step_.batch = 3;
    step_.lengths.values = IndexView::host(lengths_.data(), 3);
    step_.table = PageTableView::dense(table_.data(), 3, 4);
  }

  std::array<std::int64_t, 3> lengths_{33, -5, 17};
  std::array<std::int32_t, 12> table_{7,  8,  9,  -1,  //
                                      -1, -1, -1, -1,  //
                                      3,  4,  5,  6};
  Step step_;
};

TEST_F(StepRows, LengthsAreTokensFromZeroUp) {
  step_.lengths.delta = 1;
  EXPECT_THAT(row_lengths(step_), ElementsAre(34, 0, 18));
}

TEST_F(StepRows, CapacitiesAreWhatTheEntriesHold) {
  EXPECT_THAT(row_capacities(step_), ElementsAre(64, 64, 64));
  const std::array<std::int32_t, 4> offsets{0, 3, 3, 7};
  step_.table = PageTableView::csr(offsets.data(), 3, table_.data());
  EXPECT_THAT(row_capacities(step_), ElementsAre(48, 0, 64));
  step_.table.row_offsets.space = MemorySpace::kDevice;
  EXPECT_THAT(row_capacities(step_), IsEmpty());
}

TEST_F(StepRows, CapacitiesOfWideTablesStayWithinRows) {
  EXPECT_EQ(tokens_of_pages(std::int64_t{1} << 60, 16), kMaxRowTokens);
  EXPECT_EQ(tokens_of_pages(3, 1 << 30), kMaxRowTokens);
  EXPECT_EQ(tokens_of_pages(3, 7), 21);
}

TEST_F(StepRows, NegativeEntriesAtTheEndAreNotAllocated) {
  EXPECT_THAT(row_allocations(step_), ElementsAre(48, 0, 64));
  lengths_[0] = 49;  // a step that validate() refuses: never below the length all the same
  EXPECT_THAT(row_allocations(step_), ElementsAre(64, 0, 64));
}

TEST_F(StepRows, AllocationsOfATableOnADeviceAreItsCapacities) {
  step_.table.entries.space = MemorySpace::kDevice;
  EXPECT_THAT(row_allocations(step_), ElementsAre(64, 64, 64));
}

}  // namespace
}  // namespace pkv
