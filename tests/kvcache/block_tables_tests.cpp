#include "persistentkv/kvcache/block_tables.hpp"

#include "persistentkv/core/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <random>
#include <vector>

namespace pkv {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

/// The table as rows, read the way that an engine reads it.
std::vector<std::vector<std::int64_t>> rows_of(const PageTableView& table, std::int64_t batch) {
  table.validate(batch);
  std::vector<std::vector<std::int64_t>> rows;
  for (std::int64_t row = 0; row < batch; ++row) {
    rows.emplace_back();
    for (std::int64_t j = 0; j < table.capacity_pages(row); ++j) rows.back().push_back(table.page(table.base(row), j));
  }
  return rows;
}

TEST(BlockTables, RandomSequencesMatchANaiveModel) {
  const std::uint32_t seed = std::random_device{}();
  SCOPED_TRACE(::testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  BlockTables tables;
  std::map<std::int32_t, std::vector<PageId>> model;
  std::size_t most = 0;
  for (int i = 0; i < 5000; ++i) {
    if (model.empty() || (model.size() < 12 && random() % 8 == 0)) {
      const std::int32_t slot = tables.open();
      ASSERT_TRUE(model.emplace(slot, std::vector<PageId>{}).second) << "slot " << slot << " is open already";
      most = std::max(most, model.size());
      ASSERT_LT(slot, static_cast<std::int32_t>(most)) << "a closed slot must be used before a new one";
      continue;
    }
    const auto chosen = std::next(model.begin(), static_cast<std::ptrdiff_t>(random() % model.size()));
    if (random() % 20 == 0) {
      tables.close(chosen->first);
      model.erase(chosen);
    } else {
      const auto page = static_cast<PageId>(random() % 1000);
      tables.append(chosen->first, page);
      chosen->second.push_back(page);
      ASSERT_THAT(tables.pages(chosen->first), ElementsAreArray(chosen->second));
    }
    ASSERT_EQ(tables.open_slots(), static_cast<std::int64_t>(model.size()));

    std::vector<std::int32_t> slots;
    std::size_t width = 0;
    for (const auto& [slot, pages] : model) {
      if (random() % 3 == 0) continue;
      slots.push_back(slot);
      width = std::max(width, pages.size());
    }
    std::shuffle(slots.begin(), slots.end(), random);
    const auto rows = rows_of(tables.dense(slots), static_cast<std::int64_t>(slots.size()));
    for (std::size_t row = 0; row < slots.size(); ++row) {
      std::vector<std::int64_t> expected(model[slots[row]].begin(), model[slots[row]].end());
      expected.resize(width, -1);
      ASSERT_EQ(rows[row], expected);
    }
  }
}

TEST(BlockTables, TheBufferIsUsedAgain) {
  BlockTables tables;
  const std::vector<std::int32_t> both{tables.open(), tables.open()};
  for (const PageId page : {7, 8, 9}) tables.append(both[1], page);
  const PageTableView wide = tables.dense(both);
  EXPECT_THAT(rows_of(wide, 2), ElementsAre(ElementsAre(-1, -1, -1), ElementsAre(7, 8, 9)));
  EXPECT_EQ(tables.dense(std::vector{both[1]}).entries.data, wide.entries.data);
}

TEST(BlockTables, NoRowsAndNoPagesAreTables) {
  BlockTables tables;
  EXPECT_TRUE(rows_of(tables.dense({}), 0).empty());
  const std::vector<std::int32_t> slots{tables.open(), tables.open()};
  EXPECT_THAT(rows_of(tables.dense(slots), 2), ElementsAre(ElementsAre(), ElementsAre()));
}

TEST(BlockTables, SlotsThatAreNotOpenAreNamed) {
  BlockTables tables;
  EXPECT_THAT([&] { tables.append(0, 1); }, ThrowsMessage<InvalidArgument>(HasSubstr("slot is 0, must be in [0, 0)")));
  const std::int32_t slot = tables.open();
  tables.close(slot);
  EXPECT_THAT([&] { tables.close(slot); }, ThrowsMessage<InvalidArgument>(HasSubstr("slot 0 is closed")));
  EXPECT_THROW((void)tables.pages(-1), InvalidArgument);
  EXPECT_THROW((void)tables.dense(std::vector{slot}), InvalidArgument);
}

}  // namespace
}  // namespace pkv
