#include "persistentkv/core/attention_shape.hpp"

#include "support/thrown.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace pkv {
namespace {

using testing_support::thrown_by;

std::string complaint(const AttentionShape& shape) {
  return thrown_by([&] { shape.validate(); });
}

TEST(AttentionShape, ScaleDefaultsToInverseRootOfHeadDim) {
  EXPECT_DOUBLE_EQ((AttentionShape{.head_dim = 128}).scale(), 1.0 / std::sqrt(128.0));
  EXPECT_DOUBLE_EQ((AttentionShape{.head_dim = 128, .softmax_scale = 0.25}).scale(), 0.25);
}

TEST(AttentionShape, EveryGroupSizeIsValid) {
  for (int group_size = 1; group_size <= 64; ++group_size) {
    const AttentionShape shape{.num_q_heads = 3 * group_size, .num_kv_heads = 3, .head_dim = 80};
    EXPECT_NO_THROW(shape.validate());
    EXPECT_EQ(shape.group_size(), group_size);
  }
}

TEST(AttentionShape, NamesWhatIsOutOfBounds) {
  EXPECT_EQ(complaint({.num_q_heads = 0}), "num_q_heads is 0, must be in [1, 65536]");
  EXPECT_EQ(complaint({.num_q_heads = 65537}), "num_q_heads is 65537, must be in [1, 65536]");
  EXPECT_EQ(complaint({.num_kv_heads = 0}), "num_kv_heads is 0, must be in [1, 65536]");
  EXPECT_EQ(complaint({.num_kv_heads = -8}), "num_kv_heads is -8, must be in [1, 65536]");
  EXPECT_EQ(complaint({.head_dim = 0}), "head_dim is 0, must be in [1, 65536]");
  EXPECT_EQ(complaint({.num_q_heads = 30}), "num_q_heads is 30, must be a multiple of num_kv_heads, which is 8");
}

TEST(AttentionShape, RefusesScalesThatAreNotPositiveNumbers) {
  for (const double scale : {-1.0, -1e-300, std::nan(""), std::numeric_limits<double>::infinity()})
    EXPECT_THAT(complaint({.softmax_scale = scale}), ::testing::StartsWith("softmax_scale is")) << scale;
}

}  // namespace
}  // namespace pkv
