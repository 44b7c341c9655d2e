#include "serving/distribution.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace pkv::serving {
namespace {

/// The smallest value that at least that share of all does not exceed, by counting.
double brute_force(const std::vector<double>& values, double share) {
  double best = *std::max_element(values.begin(), values.end());
  for (const double candidate : values) {
    const auto not_above =
        std::count_if(values.begin(), values.end(), [&](double value) { return value <= candidate; });
    if (static_cast<double>(not_above) >= share * static_cast<double>(values.size())) best = std::min(best, candidate);
  }
  return best;
}

TEST(Distribution, QuantilesAreThoseOfCounting) {
  std::mt19937 random(std::random_device{}());
  for (const std::size_t count : {1U, 2U, 3U, 49U, 50U, 51U, 200U}) {
    std::vector<double> values(count);
    for (double& value : values) value = static_cast<double>(random() % 40);  // ties
    const Distribution d = distribution_of(values);
    ASSERT_EQ(d.quantiles.size(), cdf_shares().size());
    for (std::size_t i = 0; i < d.quantiles.size(); ++i)
      EXPECT_EQ(d.quantiles[i], brute_force(values, cdf_shares()[i])) << count << " values, share " << cdf_shares()[i];
    EXPECT_EQ(d.statistics.p50, brute_force(values, 0.50));
    EXPECT_EQ(d.statistics.p95, brute_force(values, 0.95));
    EXPECT_EQ(d.statistics.p99, brute_force(values, 0.99));
    EXPECT_EQ(d.count, static_cast<std::int64_t>(count));
    EXPECT_EQ(median_of(values), brute_force(values, 0.5));
  }
}

TEST(Distribution, SharesAscendFromNothingToAll) {
  EXPECT_TRUE(std::is_sorted(cdf_shares().begin(), cdf_shares().end()));
  EXPECT_EQ(cdf_shares().front(), 0.0);
  EXPECT_EQ(cdf_shares().back(), 1.0);
}

TEST(Distribution, OfNothingIsNothing) {
  const Distribution d = distribution_of({});
  EXPECT_EQ(d.count, 0);
  EXPECT_EQ(d.statistics.mean, 0.0);
  EXPECT_THAT(d.quantiles, ::testing::IsEmpty());
  EXPECT_EQ(median_of({}), 0.0);
}

}  // namespace
}  // namespace pkv::serving
