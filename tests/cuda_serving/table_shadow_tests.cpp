// A device that copies what the shadow says has the step's table; and little is copied.

#include "cuda_serving/table_shadow.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace pkv::cuda_serving {
namespace {

/// A table and what a device would have of it.
struct Twin {
  /// Rows of page ids; the host's table is as wide as the longest.
  std::int64_t update(const std::vector<std::vector<std::int32_t>>& rows) {
    std::size_t width = 0;
    for (const auto& row : rows) width = std::max(width, row.size());
    std::vector<std::int32_t> entries(rows.size() * width, -1);
    std::vector<std::int64_t> pages;
    for (std::size_t r = 0; r < rows.size(); ++r) {
      std::copy(rows[r].begin(), rows[r].end(), entries.begin() + static_cast<std::ptrdiff_t>(r * width));
      pages.push_back(static_cast<std::int64_t>(rows[r].size()));
    }
    const auto table =
        PageTableView::dense(entries.data(), static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(width));
    const auto changed = shadow.update(table, pages);
    if (shadow.rows() * shadow.width() > static_cast<std::int64_t>(device.size()))
      device.assign(static_cast<std::size_t>(shadow.rows() * shadow.width()), -7);  // what was there is lost
    std::int64_t copied = 0;
    for (const TableShadow::Rows& range : changed) {
      std::copy_n(shadow.row(range.first), range.count * shadow.width(), device.begin() + range.first * shadow.width());
      copied += range.count;
    }
    for (std::size_t r = 0; r < rows.size(); ++r) {
      const auto at = device.begin() + static_cast<std::int64_t>(r) * shadow.width();
      EXPECT_TRUE(std::equal(rows[r].begin(), rows[r].end(), at)) << "row " << r;
    }
    return copied;
  }

  TableShadow shadow;
  std::vector<std::int32_t> device;
};

TEST(TableShadow, CopiesOnlyRowsThatChanged) {
  Twin twin;
  std::vector<std::vector<std::int32_t>> rows(10, std::vector<std::int32_t>(50));
  for (std::size_t r = 0; r < rows.size(); ++r)
    for (std::size_t j = 0; j < 50; ++j) rows[r][j] = static_cast<std::int32_t>(100 * r + j);
  EXPECT_EQ(twin.update(rows), 10);
  EXPECT_EQ(twin.shadow.width(), 64);
  EXPECT_EQ(twin.update(rows), 0);
  rows[3].push_back(9999);
  rows[7].push_back(9998);
  EXPECT_EQ(twin.update(rows), 2);
  rows.erase(rows.begin() + 8);  // the last two move up
  EXPECT_EQ(twin.update(rows), 1);
  rows.erase(rows.begin());  // all move up
  EXPECT_EQ(twin.update(rows), 8);
  rows.push_back({1, 2, 3});
  EXPECT_LE(twin.update(rows), 1);
}

TEST(TableShadow, AgreesWithTheTableWhateverHappens) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 20; ++round) {
    Twin twin;
    std::vector<std::vector<std::int32_t>> rows;
    for (int step = 0; step < 200; ++step) {
      if (rows.empty() || (random() % 6 == 0 && rows.size() < 20)) {
        rows.emplace_back(1 + random() % (random() % 8 == 0 ? 400 : 60));
        for (std::int32_t& id : rows.back()) id = static_cast<std::int32_t>(random() % 10000);
      }
      if (rows.size() > 1 && random() % 7 == 0)
        rows.erase(rows.begin() + static_cast<std::ptrdiff_t>(random() % rows.size()));
      for (auto& row : rows)
        if (random() % 8 == 0) row.push_back(static_cast<std::int32_t>(random() % 10000));
      (void)twin.update(rows);
      if (::testing::Test::HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace pkv::cuda_serving
