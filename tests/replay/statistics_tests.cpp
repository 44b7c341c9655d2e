#include "replay/statistics.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace pkv::replay {
namespace {

TEST(Statistics, QuantilesAreNearestRank) {
  std::vector<double> values(100);
  std::iota(values.rbegin(), values.rend(), 1.0);  // 100, 99, ..., 1
  const Statistics s = summarize(values);
  EXPECT_EQ(s.mean, 50.5);
  EXPECT_EQ(s.p50, 50.0);
  EXPECT_EQ(s.p95, 95.0);
  EXPECT_EQ(s.p99, 99.0);
  EXPECT_EQ(s.min, 1.0);
  EXPECT_EQ(s.max, 100.0);
}

TEST(Statistics, FewValues) {
  EXPECT_EQ(summarize({}).mean, 0.0);
  const Statistics one = summarize({7.0});
  EXPECT_EQ(one.p50, 7.0);
  EXPECT_EQ(one.p99, 7.0);
}

}  // namespace
}  // namespace pkv::replay
