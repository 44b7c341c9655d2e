#include "persistentkv/core/layer.hpp"

#include "support/thrown.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace pkv {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using testing_support::thrown_by;

/// Two rows, 4 query heads over 2 KV heads, head_dim 8. Nothing is read but the indices.
class LayerTest : public ::testing::Test {
 protected:
  LayerTest() {
    step.shape = {.num_q_heads = 4, .num_kv_heads = 2, .head_dim = 8};
    step.num_pages = 3;
    step.batch = 2;
    const KvCacheView kv =
        KvCacheView::dense(KvLayout::kNHD, step.shape, step.dtype, step.page_size, step.num_pages, memory, memory);
    layer = Layer::dense(step, kv, memory, memory);
  }

  [[nodiscard]] std::string complaint() const {
    return thrown_by([&] { layer.validate(step); });
  }

  alignas(8) char memory[8] = {};
  Step step;
  Layer layer;
};

TEST_F(LayerTest, DenseIsValid) {
  EXPECT_EQ(complaint(), "nothing was thrown");
  EXPECT_EQ(layer.q.row_stride, 32);
  EXPECT_EQ(layer.out.head_stride, 8);
  EXPECT_FALSE(layer.lse.has_value());
}

TEST_F(LayerTest, AnEmptyBatchNeedsNothing) {
  step.batch = 0;
  layer = {};
  EXPECT_EQ(complaint(), "nothing was thrown");
}

TEST_F(LayerTest, AStepWithoutPagesNeedsNoPool) {
  step.num_pages = 0;
  layer.kv = {};
  EXPECT_EQ(complaint(), "nothing was thrown");
}

TEST_F(LayerTest, OutMayBeFp32) {
  layer.out.dtype = DType::kF32;
  EXPECT_EQ(complaint(), "nothing was thrown");
}

TEST_F(LayerTest, RefusesOtherDtypes) {
  layer.q.dtype = DType::kBF16;
  EXPECT_EQ(complaint(), "kv.dtype is fp16 and q.dtype is bf16, both must be the step's, fp16");
  layer.q.dtype = DType::kF16;
  layer.kv.dtype = DType::kF32;
  EXPECT_EQ(complaint(), "kv.dtype is fp32 and q.dtype is fp16, both must be the step's, fp16");
  layer.kv.dtype = DType::kF16;
  layer.out.dtype = DType::kBF16;
  EXPECT_EQ(complaint(), "out.dtype is bf16, must be the step's, fp16, or fp32");
}

TEST_F(LayerTest, RefusesAnotherPool) {
  layer.kv.page_size = 8;
  EXPECT_EQ(complaint(), "kv.page_size is 8, must be the step's, 16");
  layer.kv.page_size = 16;
  layer.kv.num_pages = 2;
  EXPECT_EQ(complaint(), "kv.num_pages is 2, must be the step's, 3");
}

TEST_F(LayerTest, RefusesNullAndMisalignedData) {
  layer.q.data = nullptr;
  EXPECT_EQ(complaint(), "q.data is null");
  layer.q.data = memory + 1;
  EXPECT_THAT(complaint(), AllOf(StartsWith("q.data is 0x"), HasSubstr("multiple of the element size, 2")));
  layer.q.data = memory;
  layer.out.data = nullptr;
  EXPECT_EQ(complaint(), "out.data is null");
  layer.out.data = memory;
  layer.kv.k.data = nullptr;
  EXPECT_EQ(complaint(), "k.data is null");
  layer.kv.k.data = memory;
  layer.lse = LseView{.data = nullptr, .row_stride = 4};
  EXPECT_EQ(complaint(), "lse.data is null");
  layer.lse->data = reinterpret_cast<float*>(memory + 2);
  EXPECT_THAT(complaint(), AllOf(StartsWith("lse.data is 0x"), HasSubstr("multiple of the element size, 4")));
}

TEST_F(LayerTest, RefusesTooFewRows) {
  layer.q.num_rows = 1;
  EXPECT_THAT(complaint(), StartsWith("q.num_rows is 1, must be in [2,"));
  layer.q.num_rows = 2;
  layer.out.num_rows = 0;
  EXPECT_THAT(complaint(), StartsWith("out.num_rows is 0, must be in [2,"));
}

TEST_F(LayerTest, RefusesStridesThatOverlap) {
  layer.out.row_stride = 31;
  EXPECT_EQ(complaint(), "out.row_stride is 31, must be >= 32: elements would overlap");
  layer.out.row_stride = 32;
  layer.q.head_stride = 7;
  EXPECT_EQ(complaint(), "q.head_stride is 7, must be >= 8: elements would overlap");
  layer.q.head_stride = 8;
  layer.lse = LseView{.data = reinterpret_cast<float*>(memory), .row_stride = 3};
  EXPECT_EQ(complaint(), "lse.row_stride is 3, must be >= 4: elements would overlap");
}

TEST_F(LayerTest, StridesMayLeaveGapsAndPutHeadsFirst) {
  layer.q.row_stride = 8;
  layer.q.head_stride = 24;
  layer.lse = LseView{.data = reinterpret_cast<float*>(memory), .row_stride = 1, .head_stride = 2};
  EXPECT_EQ(complaint(), "nothing was thrown");
}

TEST_F(LayerTest, RowIdsAreBounded) {
  for (const std::int64_t id : {std::int64_t{-1}, std::int64_t{5}, INT64_MAX}) {
    const std::array<std::int64_t, 2> ids = {4, id};
    layer.q.num_rows = 5;
    layer.q.row_ids = IndexView::host(ids.data(), 2);
    EXPECT_EQ(complaint(), "q.row_ids[1] is " + std::to_string(id) + ", must be in [0, 5)");
  }
  const std::array<std::int32_t, 2> ids = {4, 0};
  layer.q.row_ids = IndexView::host(ids.data(), 2);
  EXPECT_EQ(complaint(), "nothing was thrown");
  layer.q.row_ids.size = 1;
  EXPECT_EQ(complaint(), "q.row_ids has 1 entries, must have batch = 2");
  layer.q.row_ids = {};
  layer.out.num_rows = 1;  // fewer rows than the batch, which the ids would have to share
  layer.out.row_ids = IndexView::host(ids.data(), 2);
  EXPECT_EQ(complaint(), "out.row_ids[0] is 4, must be in [0, 1)");
}

}  // namespace
}  // namespace pkv
