#include "counters.hpp"

#include <numeric>

namespace pkv {

std::int64_t RuntimeCounters::steps() const noexcept {
  return std::accumulate(by_route.begin(), by_route.end(), std::int64_t{0});
}

std::int64_t RuntimeCounters::steps(Route route) const noexcept {
  return route == Route::kPolicy ? 0 : by_route[static_cast<std::size_t>(route)];
}

std::int64_t RuntimeCounters::steps(Grounds grounds) const noexcept {
  return by_grounds[static_cast<std::size_t>(grounds)];
}

void detail::AtomicCounters::count_step(const RuntimeDecision& decision) noexcept {
  by_route_[static_cast<std::size_t>(decision.route)].fetch_add(1, std::memory_order_relaxed);
  by_grounds_[static_cast<std::size_t>(decision.grounds)].fetch_add(1, std::memory_order_relaxed);
  if (decision.from_bounds) from_bounds_.fetch_add(1, std::memory_order_relaxed);
}

RuntimeCounters detail::AtomicCounters::snapshot() const noexcept {
  RuntimeCounters counters;
  for (std::size_t i = 0; i < by_route_.size(); ++i)
    counters.by_route[i] = by_route_[i].load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < by_grounds_.size(); ++i)
    counters.by_grounds[i] = by_grounds_[i].load(std::memory_order_relaxed);
  counters.from_bounds = from_bounds_.load(std::memory_order_relaxed);
  counters.layers = layers_.load(std::memory_order_relaxed);
  return counters;
}

}  // namespace pkv
