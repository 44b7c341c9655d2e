#include "sm_clocks.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace pkv::timeline {

SmClocks::SmClocks(const std::vector<ClockPair>& pairs) {
  std::map<int, std::vector<ClockPair>> by_sm;
  for (const ClockPair& pair : pairs) by_sm[pair.sm].push_back(pair);
  const std::int64_t base_ns = pairs.empty() ? 0 : pairs.front().ns;  // doubles hold differences, not dates
  for (const auto& [sm, of_sm] : by_sm) {
    const ClockPair& first = of_sm.front();
    double mean_clock = 0.0;
    double mean_ns = 0.0;
    const auto count = static_cast<double>(of_sm.size());
    for (const ClockPair& pair : of_sm) {
      mean_clock += static_cast<double>(pair.clock - first.clock) / count;
      mean_ns += static_cast<double>(pair.ns - base_ns) / count;
    }
    double squares = 0.0;
    double products = 0.0;
    for (const ClockPair& pair : of_sm) {
      const double x = static_cast<double>(pair.clock - first.clock) - mean_clock;
      squares += x * x;
      products += x * (static_cast<double>(pair.ns - base_ns) - mean_ns);
    }
    if (!(squares > 0.0) || !(products > 0.0)) {
      throw InvalidArgument(
          fmt::format("clock pairs of SM {} are {}, must be at least two of a clock that runs", sm, of_sm.size()));
    }
    Line line{first.clock, 0.0, products / squares};
    line.ns = mean_ns - mean_clock * line.ns_per_cycle;
    lines_[sm] = line;
    for (const ClockPair& pair : of_sm)
      max_error_ns_ = std::max(max_error_ns_, std::abs(ns(sm, pair.clock) - static_cast<double>(pair.ns - base_ns)));
  }
}

double SmClocks::ns(int sm, std::int64_t clock) const {
  const auto found = lines_.find(sm);
  if (found == lines_.end()) throw InvalidArgument(fmt::format("SM {} has stamps, but no clock pairs", sm));
  const Line& line = found->second;
  return line.ns + static_cast<double>(clock - line.clock) * line.ns_per_cycle;
}

}  // namespace pkv::timeline
