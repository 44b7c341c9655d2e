#include "persistentkv/core/error.hpp"
#include "reproduce/accuracy.hpp"
#include "reproduce/trace_steps.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <vector>

namespace pkv::reproduce {
namespace {

constexpr AttentionShape kShape{.num_q_heads = 8, .num_kv_heads = 2, .head_dim = 32};

/// Pages of all rows; each row's beyond its length are not there.
std::vector<std::int64_t> pages_of(const Step& step) {
  std::vector<std::int64_t> pages;
  for (std::int64_t row = 0; row < step.batch; ++row)
    for (std::int64_t j = 0; j < (step.lengths.at(row) + kPageSize - 1) / kPageSize; ++j)
      pages.push_back(step.table.page(step.table.base(row), j));
  return pages;
}

TEST(TraceSteps, AreThePapersWithAPageForEveryRowOfItsOwn) {
  const PaperRun& run = find_paper_run("bimodal-b8");
  TraceSteps steps(run, 20260623, kShape);
  EXPECT_EQ(steps.num_pages(), 24285);
  BenchStep step;
  std::int64_t tokens = 0;
  for (std::int64_t s = 0; s < run.num_steps; ++s) {
    ASSERT_TRUE(steps.next(step));
    EXPECT_NO_THROW(step.step.validate());
    const std::vector<std::int64_t> pages = pages_of(step.step);
    EXPECT_EQ(std::set<std::int64_t>(pages.begin(), pages.end()).size(), pages.size());
    EXPECT_EQ(step.num_q_rows, run.num_requests);
    EXPECT_EQ(std::set<std::int32_t>(step.q_row.begin(), step.q_row.end()).size(), step.q_row.size());
    for (std::int64_t row = 0; row < step.step.batch; ++row) tokens += step.step.lengths.at(row);
  }
  // 550.5 MiB a step with 8 KV heads of 128.
  EXPECT_NEAR(static_cast<double>(tokens) / static_cast<double>(run.num_steps) * 4096 / (1 << 20), 550.5, 0.05);
}

TEST(Rotation, HasStepsOnPagesOfTheirOwn) {
  const std::vector<std::int32_t> lengths{100, 0, 33, 16};
  const Rotation rotation(lengths, kShape, 5 * 11 * page_bytes(kShape), 100);
  ASSERT_EQ(rotation.steps().size(), 6U);
  std::set<std::int64_t> seen;
  for (const BenchStep& step : rotation.steps()) {
    EXPECT_NO_THROW(step.step.validate());
    for (const std::int64_t page : pages_of(step.step)) EXPECT_TRUE(seen.insert(page).second);
  }
  EXPECT_EQ(Rotation(lengths, kShape, 1, 100).steps().size(), 2U);
  EXPECT_EQ(Rotation(lengths, kShape, std::int64_t{1} << 40, 40).steps().size(), 3U);
  EXPECT_THROW(Rotation(lengths, kShape, 1, 21), InvalidArgument);
}

TEST(Errors, CountNaNAsInfinite) {
  Errors errors;
  const std::vector<float> actual{1.0F, 2.5F};
  const std::vector<double> expected{1.0, 2.0};
  errors.add<float, double>(actual, expected);
  EXPECT_DOUBLE_EQ(errors.max, 0.5);
  EXPECT_DOUBLE_EQ(errors.mean(), 0.25);
  const std::vector<float> nothing{std::numeric_limits<float>::quiet_NaN(), 0.0F};
  errors.add<float, double>(nothing, expected);
  EXPECT_FALSE(errors.max <= kMaxErrorGate);
  EXPECT_FALSE(errors.mean() <= kMeanErrorGate);
}

TEST(ExpectedRow, IsTheMeanOfVWhereAllScoresAreEqual) {
  const std::vector<std::int32_t> lengths{7, 20};
  const std::vector<std::int32_t> table{3, -1, 1, 0};
  Step step;
  step.shape = kShape;
  step.num_pages = 4;
  step.batch = 2;
  step.lengths.values = IndexView::host(lengths.data(), 2);
  step.table = PageTableView::dense(table.data(), 2, 2);
  RowOnHost data;  // of row 1: its pages in its order, whatever their ids
  const std::size_t page = static_cast<std::size_t>(kShape.num_kv_heads) * kPageSize * 32;
  data.k.assign(2 * page, 0);
  data.v.assign(2 * page, f32_to_f16(std::numeric_limits<float>::quiet_NaN()));
  for (std::size_t head = 0; head < 2; ++head)
    for (std::size_t token = 0; token < 20; ++token)
      for (std::size_t i = 0; i < 32; ++i)
        data.v[token / 16 * page + (head * 16 + token % 16) * 32 + i] =
            f32_to_f16(static_cast<float>(token) + 100.0F * static_cast<float>(head));
  data.q.assign(static_cast<std::size_t>(kShape.num_q_heads) * 32, f32_to_f16(1.0F));
  const std::vector<double> out = expected_row(step, 1, data);
  ASSERT_EQ(out.size(), 8U * 32U);
  EXPECT_NEAR(out[0], 9.5, 1e-9);
  EXPECT_NEAR(out[5 * 32 + 7], 109.5, 1e-9);
}

}  // namespace
}  // namespace pkv::reproduce
