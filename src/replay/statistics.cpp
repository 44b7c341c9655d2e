#include "statistics.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace pkv::replay {

Statistics summarize(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const auto count = static_cast<double>(values.size());
  const auto quantile = [&](double share) {
    return values[static_cast<std::size_t>(std::max(std::ceil(share * count) - 1.0, 0.0))];
  };
  return {.mean = std::accumulate(values.begin(), values.end(), 0.0) / count,
          .p50 = quantile(0.50),
          .p95 = quantile(0.95),
          .p99 = quantile(0.99),
          .min = values.front(),
          .max = values.back()};
}

}  // namespace pkv::replay
