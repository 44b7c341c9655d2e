#include "statistics.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace pkv::replay {

double quantile(std::span<const double> sorted, double share) noexcept {
  const double rank = std::ceil(share * static_cast<double>(sorted.size())) - 1.0;
  return sorted[static_cast<std::size_t>(std::max(rank, 0.0))];
}

Statistics summarize(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const auto count = static_cast<double>(values.size());
  return {.mean = std::accumulate(values.begin(), values.end(), 0.0) / count,
          .p50 = quantile(values, 0.50),
          .p95 = quantile(values, 0.95),
          .p99 = quantile(values, 0.99),
          .min = values.front(),
          .max = values.back()};
}

}  // namespace pkv::replay
