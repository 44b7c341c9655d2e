#include "persistentkv/core/step.hpp"

#include "support/thrown.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <random>
#include <utility>
#include <vector>

namespace pkv {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using testing_support::thrown_by;

/// Three rows of 33, 0 and 16 tokens in pages of 16, at most 3 pages a row.
class StepTest : public ::testing::Test {
 protected:
  std::vector<std::int32_t> lengths = {33, 0, 16};
  std::vector<std::int32_t> entries = {3, 1, 4, -1, -1, -1, 0, 999, -7};

  [[nodiscard]] Step valid_step() const {
    Step step;
    step.num_pages = 5;
    step.batch = 3;
    step.lengths.values = IndexView::host(lengths.data(), 3);
    step.table = PageTableView::dense(entries.data(), 3, 3);
    return step;
  }
};

std::string complaint(const Step& step) {
  return thrown_by([&] { step.validate(); });
}

TEST_F(StepTest, EntriesPastARowsEndAreNeverUsed) { EXPECT_NO_THROW(valid_step().validate()); }

TEST_F(StepTest, AnEmptyBatchNeedsNoArrays) {
  Step step;
  EXPECT_NO_THROW(step.validate());
  EXPECT_EQ(step.useful_kv_bytes(), 0);
}

TEST_F(StepTest, UsefulBytesCountTokensOnly) {
  EXPECT_EQ(valid_step().useful_kv_bytes(), 49 * 8 * 128 * 2 * 2);
  Step step = valid_step();
  step.dtype = DType::kF32;
  EXPECT_EQ(step.useful_kv_bytes(), 49 * 8 * 128 * 2 * 4);
}

TEST_F(StepTest, RefusesALengthOverTheTable) {
  lengths[2] = 49;
  EXPECT_EQ(complaint(valid_step()), "lengths[2] is 49 tokens, must be at most 48: the table holds 3 pages of 16");
}

TEST_F(StepTest, RowsAreValidatedWithoutThePages) {
  entries[2] = 5;  // no page of the pool
  EXPECT_NO_THROW(valid_step().validate_rows());
  lengths[2] = 49;
  EXPECT_EQ(thrown_by([&] { valid_step().validate_rows(); }),
            "lengths[2] is 49 tokens, must be at most 48: the table holds 3 pages of 16");
}

TEST_F(StepTest, PagesAreValidatedWithoutTheRows) {
  EXPECT_NO_THROW(valid_step().validate_pages());
  entries[2] = 5;
  EXPECT_EQ(thrown_by([&] { valid_step().validate_pages(); }),
            "page_table row 0, page 2: page id is 5, must be in [0, 5)");
  Step on_device = valid_step();
  on_device.table.entries.space = MemorySpace::kDevice;
  EXPECT_NO_THROW(on_device.validate_pages());
}

TEST_F(StepTest, FindsOneBadPageOfManyWhateverItIs) {
  constexpr int kPages = 1001;
  std::vector<std::int32_t> table(kPages), length{kPages * 16};
  Step step;
  step.batch = 1;
  step.lengths.values = IndexView::host(length.data(), 1);
  step.table = PageTableView::dense(table.data(), 1, kPages);
  std::mt19937 random(std::random_device{}());
  for (const std::int64_t num_pages : {std::int64_t{1}, std::int64_t{5000}, (std::int64_t{1} << 31) - 1,
                                       std::int64_t{1} << 31, std::int64_t{1} << 40}) {
    step.num_pages = num_pages;
    const std::int64_t last = std::min<std::int64_t>(num_pages - 1, INT32_MAX);
    for (std::int32_t& page : table)
      page = static_cast<std::int32_t>(random() % 4 == 0 ? last : random() % (static_cast<std::uint64_t>(last) + 1));
    EXPECT_NO_THROW(step.validate()) << num_pages;
    for (const std::int64_t bad : {std::int64_t{-1}, std::int64_t{INT32_MIN}, num_pages, std::int64_t{INT32_MAX}}) {
      if (bad >= 0 && (bad < num_pages || bad > INT32_MAX)) continue;
      const std::size_t at = random() % kPages;
      const std::int32_t good = std::exchange(table[at], static_cast<std::int32_t>(bad));
      EXPECT_EQ(complaint(step),
                fmt::format("page_table row 0, page {}: page id is {}, must be in [0, {})", at, bad, num_pages));
      table[at] = good;
    }
  }
}

TEST_F(StepTest, RefusesPagesOutsideThePool) {
  entries[2] = 5;
  EXPECT_EQ(complaint(valid_step()), "page_table row 0, page 2: page id is 5, must be in [0, 5)");
  entries[2] = -1;
  EXPECT_EQ(complaint(valid_step()), "page_table row 0, page 2: page id is -1, must be in [0, 5)");
  lengths[0] = 32;  // the bad entry is now past the end
  EXPECT_NO_THROW(valid_step().validate());
}

TEST_F(StepTest, RefusesSizesOutOfBounds) {
  Step step = valid_step();
  step.batch = -1;
  EXPECT_EQ(complaint(step), "batch is -1, must be in [0, 1048576]");
  step.batch = kMaxBatch + 1;
  EXPECT_EQ(complaint(step), "batch is 1048577, must be in [0, 1048576]");
  step = valid_step();
  step.num_pages = -1;
  EXPECT_THAT(complaint(step), StartsWith("num_pages is -1, must be in [0,"));
  step = valid_step();
  step.page_size = 0;
  EXPECT_EQ(complaint(step), "page_size is 0, must be in [1, 1048576]");
  step = valid_step();
  step.shape.num_q_heads = 31;
  EXPECT_THAT(complaint(step), StartsWith("num_q_heads is 31, must be a multiple of num_kv_heads"));
}

TEST_F(StepTest, RefusesAbsentLengths) {
  Step step = valid_step();
  step.lengths.values.data = nullptr;
  EXPECT_EQ(complaint(step), "lengths is null");
  step = valid_step();
  step.lengths.values.size = 2;
  EXPECT_EQ(complaint(step), "lengths has 2 entries, must have 3");
  step.lengths.values.size = 3;
  step.lengths.cumulative = true;
  EXPECT_EQ(complaint(step), "lengths has 3 entries, must have 4");
}

TEST_F(StepTest, DeviceLengthsAreNotRead) {
  Step step = valid_step();
  step.lengths.values = {reinterpret_cast<const void*>(8), 3, IndexType::kI32, MemorySpace::kDevice};
  EXPECT_NO_THROW(step.validate());
}

TEST(Lengths, NegativeMeansEmpty) {
  const std::vector<std::int64_t> values = {-5, 0, 7, INT64_MIN};
  const LengthsView lengths{.values = IndexView::host(values.data(), 4)};
  EXPECT_EQ(lengths.at(0), 0);
  EXPECT_EQ(lengths.at(1), 0);
  EXPECT_EQ(lengths.at(2), 7);
  EXPECT_EQ(lengths.at(3), 0);
}

TEST(Lengths, CumulativeAndDelta) {
  const std::vector<std::int32_t> sums = {10, 10, 14, 13};
  const LengthsView lengths{.values = IndexView::host(sums.data(), 4), .cumulative = true, .delta = 1};
  EXPECT_EQ(lengths.at(0), 1);
  EXPECT_EQ(lengths.at(1), 5);
  EXPECT_EQ(lengths.at(2), 0);
}

TEST_F(StepTest, HostileLengthsAreRefused) {
  const auto with = [this](std::vector<std::int64_t> values, bool cumulative, std::int64_t delta) {
    Step step = valid_step();
    step.batch = 1;
    step.lengths = {IndexView::host(values.data(), std::ssize(values)), cumulative, delta};
    return complaint(step);
  };
  EXPECT_THAT(with({kMaxRowTokens + 1}, false, 0), HasSubstr("lengths[0] is 1073741825, must be at most 1073741824"));
  EXPECT_THAT(with({INT64_MAX}, false, 0), StartsWith("lengths[0] is 9223372036854775807"));
  EXPECT_THAT(with({INT64_MAX}, false, 1), StartsWith("lengths[0] is beyond 2^63"));
  EXPECT_THAT(with({-1, INT64_MAX}, true, 0), StartsWith("lengths[0] is beyond 2^63"));
  EXPECT_THAT(with({16, 0}, false, INT64_MAX), StartsWith("lengths[0] is beyond 2^63"));
  EXPECT_EQ(with({INT64_MIN}, false, 0), "nothing was thrown");  // an empty row
}

}  // namespace
}  // namespace pkv
