#include "persistentkv/reference/reference_decode.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace pkv {
namespace {

/// One row over a pool of three pages of two tokens: 2 query heads, 1 KV head, head_dim 2. Small enough for arithmetic
/// by hand. Pages 2, then 0; page 1 is never read.
class ReferenceDecode : public ::testing::Test {
 protected:
  static constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

  ReferenceDecode() {
    step.shape = {.num_q_heads = 2, .num_kv_heads = 1, .head_dim = 2, .softmax_scale = 1.0};
    step.dtype = DType::kF32;
    step.page_size = 2;
    step.num_pages = 3;
    step.batch = 1;
    step.lengths.values = IndexView::host(&length, 1);
    step.table = PageTableView::dense(entries.data(), 1, 3);
    const KvCacheView kv = KvCacheView::dense(KvLayout::kNHD, step.shape, step.dtype, 2, 3, k.data(), v.data());
    layer = Layer::dense(step, kv, q.data(), out.data());
    step.validate();
    layer.validate(step);
  }

  std::int32_t length = 3;
  std::vector<std::int32_t> entries = {2, 0, -1};
  std::vector<float> k = {std::log(2.0f), 0, kNaN, kNaN, kNaN, kNaN, kNaN, kNaN, 0, 0, 0, std::log(3.0f)};
  std::vector<float> v = {1, 1, kNaN, kNaN, kNaN, kNaN, kNaN, kNaN, 10, 0, 0, 100};
  std::vector<float> q = {1, 0, 0, 1};
  std::vector<float> out = std::vector<float>(4);
  Step step;
  Layer layer;
};

TEST_F(ReferenceDecode, AgreesWithArithmeticByHand) {
  // Head 0 scores 0, 0, log 2: weights 1/4, 1/4, 1/2. Head 1 scores 0, log 3, 0: weights 1/5, 3/5, 1/5.
  const ReferenceResult first = reference_decode(step, layer, 0, 0);
  EXPECT_NEAR(first.lse, std::log(4.0), 1e-7);
  EXPECT_NEAR(first.out[0], 10.0 / 4 + 0.5, 1e-6);
  EXPECT_NEAR(first.out[1], 100.0 / 4 + 0.5, 1e-6);
  const ReferenceResult second = reference_decode(step, layer, 0, 1);
  EXPECT_NEAR(second.lse, std::log(5.0), 1e-7);
  EXPECT_NEAR(second.out[0], 10.0 / 5 + 1.0 / 5, 1e-6);
  EXPECT_NEAR(second.out[1], 300.0 / 5 + 1.0 / 5, 1e-5);
}

TEST_F(ReferenceDecode, AGroupIsItsHeads) {
  const std::vector<ReferenceResult> group = reference_decode_group(step, layer, 0, 0);
  ASSERT_EQ(group.size(), 2u);
  for (int head = 0; head < 2; ++head) {
    const ReferenceResult one = reference_decode(step, layer, 0, head);
    EXPECT_EQ(group[static_cast<std::size_t>(head)].out, one.out);
    EXPECT_EQ(group[static_cast<std::size_t>(head)].lse, one.lse);
  }
}

TEST_F(ReferenceDecode, EmptyRowsReadNothing) {
  for (const std::int32_t tokens : {0, -4}) {
    length = tokens;
    const ReferenceResult result = reference_decode(step, layer, 0, 1);
    EXPECT_EQ(result.out, (std::vector<double>{0.0, 0.0}));
    EXPECT_EQ(result.lse, -std::numeric_limits<double>::infinity());
  }
}

TEST_F(ReferenceDecode, LargeScoresDoNotOverflow) {
  q[0] = 1e5f;  // the third token wins by 1e5 log 2
  const ReferenceResult result = reference_decode(step, layer, 0, 0);
  EXPECT_EQ(result.out, (std::vector<double>{1.0, 1.0}));
  EXPECT_NEAR(result.lse, 1e5 * std::log(2.0), 1e-2);
}

TEST_F(ReferenceDecode, ScaleMultipliesScores) {
  step.shape.softmax_scale = 2.0;  // head 0 scores 0, 0, log 4
  EXPECT_NEAR(reference_decode(step, layer, 0, 0).lse, std::log(6.0), 1e-7);
}

TEST_F(ReferenceDecode, QueriesAreFoundThroughRowIds) {
  // Row 2 of stride 5, heads 3 apart, holds the two queries swapped.
  const std::vector<float> many = {9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 0, 1, 9, 1, 0};
  const std::int64_t id = 2;
  layer.q = {many.data(), DType::kF32, 3, 5, 3, IndexView::host(&id, 1)};
  EXPECT_NEAR(reference_decode(step, layer, 0, 0).lse, std::log(5.0), 1e-7);
  EXPECT_NEAR(reference_decode(step, layer, 0, 1).lse, std::log(4.0), 1e-7);
}

TEST_F(ReferenceDecode, HeadStrideIsIgnoredWithOneKvHead) {
  layer.kv.k.head_stride = layer.kv.v.head_stride = std::int64_t{1} << 60;
  EXPECT_NEAR(reference_decode(step, layer, 0, 0).lse, std::log(4.0), 1e-7);
}

}  // namespace
}  // namespace pkv
