#pragma once

/// What the runtime decided for a step, and how often it decided what.

#include "persistentkv/policy/router.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace pkv {

/// How a step is run, in a few numbers: made for every step, without allocation. The whole story is explain()'s.
struct RuntimeDecision {
  Route route = Route::kStream;
  int splits = 0;  ///< given to the backend as PlanOptions::splits; 0: the schedule's own rule
  Grounds grounds = Grounds::kEstimate;
  std::string_view backend;           ///< Backend::name() of who runs it; as long-lived as the runtime or a step of it
  std::optional<double> estimate_us;  ///< of one layer, by the profile's model; nothing where it does not cover the
                                      ///< step, or where the choice needed none (Router::settled)
  bool from_bounds = false;           ///< lengths are on a device: every row was taken to be as long as it may be
};

/// Steps prepared so far, and layers run. A snapshot: of steps that are being prepared at the same time it may have
/// counted a part.
struct RuntimeCounters {
  std::array<std::int64_t, kRunnableRoutes.size()> by_route{};  ///< steps, in the order of kRunnableRoutes
  std::array<std::int64_t, kNumGrounds> by_grounds{};           ///< steps, in the order of Grounds
  std::int64_t from_bounds = 0;                                 ///< steps whose lengths were on a device
  std::int64_t layers = 0;  ///< calls of RuntimeStep::run that did not throw; a captured one counts once

  [[nodiscard]] std::int64_t steps() const noexcept;
  /// 0 for kPolicy.
  [[nodiscard]] std::int64_t steps(Route route) const noexcept;
  [[nodiscard]] std::int64_t steps(Grounds grounds) const noexcept;
};

}  // namespace pkv
