#include "distribution.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace pkv::serving {

namespace {

constexpr auto kShares = [] {
  std::array<double, 53> shares{};
  for (std::size_t i = 0; i < 50; ++i) shares[i] = static_cast<double>(i) / 50.0;
  shares[50] = 0.99;
  shares[51] = 0.999;
  shares[52] = 1.0;
  return shares;
}();

}  // namespace

std::span<const double> cdf_shares() noexcept { return kShares; }

Distribution distribution_of(std::vector<double> values) {
  Distribution result;
  result.count = static_cast<std::int64_t>(values.size());
  if (values.empty()) return result;
  std::sort(values.begin(), values.end());
  result.quantiles.reserve(kShares.size());
  for (const double share : kShares) result.quantiles.push_back(replay::quantile(values, share));
  result.statistics = replay::summarize(std::move(values));
  return result;
}

double median_of(std::vector<double> values) { return replay::summarize(std::move(values)).p50; }

}  // namespace pkv::serving
