#pragma once

// Counters that any thread may add to.

#include "persistentkv/runtime/decision.hpp"

#include <atomic>

namespace pkv::detail {

class AtomicCounters {
 public:
  void count_step(const RuntimeDecision& decision) noexcept;
  void count_layer() noexcept { layers_.fetch_add(1, std::memory_order_relaxed); }
  [[nodiscard]] RuntimeCounters snapshot() const noexcept;

 private:
  using Count = std::atomic<std::int64_t>;
  std::array<Count, kRunnableRoutes.size()> by_route_{};
  std::array<Count, kNumGrounds> by_grounds_{};
  Count from_bounds_{0};
  Count layers_{0};
};

}  // namespace pkv::detail
