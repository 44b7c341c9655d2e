#include "serving/mlp_times.hpp"

#include "persistentkv/core/error.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace pkv::serving {
namespace {

TEST(MlpTimes, LiesOnStraightLinesBetweenPoints) {
  const MlpTimes mlp({{1, 10.0}, {4, 16.0}, {8, 12.0}}, "by hand");
  EXPECT_EQ(mlp.us(1), 10.0);
  EXPECT_EQ(mlp.us(2), 12.0);
  EXPECT_EQ(mlp.us(4), 16.0);
  EXPECT_EQ(mlp.us(7), 13.0);
  EXPECT_EQ(mlp.us(8), 12.0);
  EXPECT_EQ(mlp.us(1000), 12.0);
  EXPECT_EQ(MlpTimes({{4, 16.0}}, "").us(1), 16.0);
  EXPECT_EQ(mlp.source(), "by hand");
}

TEST(MlpTimes, WithoutPointsTakesNoTimeAndSaysSo) {
  EXPECT_EQ(MlpTimes().us(7), 0.0);
  EXPECT_EQ(MlpTimes().source(), "takes no time: none was measured or given");
}

TEST(MlpTimes, RefusesPointsThatAreNone) {
  EXPECT_THROW(MlpTimes({{0, 1.0}}, ""), InvalidArgument);
  EXPECT_THROW(MlpTimes({{2, 1.0}, {2, 1.0}}, ""), InvalidArgument);
  EXPECT_THROW(MlpTimes({{1, -1.0}}, ""), InvalidArgument);
  EXPECT_THROW(MlpTimes({{1, std::numeric_limits<double>::quiet_NaN()}}, ""), InvalidArgument);
}

}  // namespace
}  // namespace pkv::serving
