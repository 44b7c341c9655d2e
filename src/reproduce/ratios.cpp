#include "ratios.hpp"

#include <algorithm>
#include <vector>

namespace pkv::reproduce {

namespace {

template <class Take>
std::optional<double> least(const TraceTimes& trace, Clock clock, Take take) {
  std::optional<double> best;
  for (const RouteTimes& route : trace.routes)
    if (route.ran() && take(route.spec.route)) best = std::min(best.value_or(HUGE_VAL), time_us(route, clock));
  return best;
}

std::optional<double> baseline(const TraceTimes& trace, Clock clock, Base base) {
  switch (base) {
    case Base::kCudaCore:
      return least(trace, clock, [](Route r) { return r == Route::kFlashInferCudaCore; });
    case Base::kTensorCore:
      return least(trace, clock, [](Route r) { return r == Route::kFlashInferTensorCore; });
    case Base::kBetter:
      return least(trace, clock, is_flashinfer);
    case Base::kBestSingle:
      break;
  }
  return least(trace, clock, [](Route r) { return r != Route::kPolicy; });
}

}  // namespace

std::string_view to_string(Clock clock) noexcept {
  constexpr std::array<std::string_view, 4> kNames = {"fair_event", "fair_wall", "paper_event", "paper_wall"};
  return kNames[static_cast<std::size_t>(clock)];
}

std::string_view to_string(Base base) noexcept {
  constexpr std::array<std::string_view, 4> kNames = {"cuda_core", "tensor_core", "better", "best_single"};
  return kNames[static_cast<std::size_t>(base)];
}

double time_us(const RouteTimes& route, Clock clock) noexcept {
  switch (clock) {
    case Clock::kFairEvent:
      return route.fair.event_us;
    case Clock::kFairWall:
      return route.fair.wall_us;
    case Clock::kPaperEvent:
      return route.paper.event_us;
    case Clock::kPaperWall:
      break;
  }
  return route.paper.wall_us;
}

std::optional<double> ratio(const TraceTimes& trace, const RouteTimes& route, Clock clock, Base base) {
  const double us = time_us(route, clock);
  const std::optional<double> of = baseline(trace, clock, base);
  if (!route.ran() || !of || !(us > 0.0)) return std::nullopt;
  return *of / us;
}

std::optional<MeanStd> ratio_over(std::span<const TraceTimes> traces, std::size_t route, Clock clock, Base base) {
  std::vector<double> values;
  values.reserve(traces.size());
  for (const TraceTimes& trace : traces)
    if (const std::optional<double> value = ratio(trace, trace.routes[route], clock, base)) values.push_back(*value);
  if (values.empty()) return std::nullopt;
  return mean_std(values);
}

}  // namespace pkv::reproduce
