#pragma once

// How much faster: a baseline's time over a route's, of one run and seed.

#include "measure_trace.hpp"
#include "statistics.hpp"

#include <array>
#include <optional>
#include <span>
#include <string_view>

namespace pkv::reproduce {

/// Which of a route's times.
enum class Clock : std::uint8_t { kFairEvent, kFairWall, kPaperEvent, kPaperWall };
inline constexpr std::array kClocks = {Clock::kFairEvent, Clock::kFairWall, Clock::kPaperEvent, Clock::kPaperWall};
/// "fair_event", ...
[[nodiscard]] std::string_view to_string(Clock clock) noexcept;

/// What it is compared with.
enum class Base : std::uint8_t {
  kCudaCore,    ///< FlashInfer's Python default
  kTensorCore,  ///< what the paper compares with
  kBetter,      ///< the one of these two that took less time over all steps
  kBestSingle,  ///< of all routes that ran but the policy, the one that took the least time over all steps
};
inline constexpr std::array kBases = {Base::kCudaCore, Base::kTensorCore, Base::kBetter, Base::kBestSingle};
/// "cuda_core", ...
[[nodiscard]] std::string_view to_string(Base base) noexcept;

[[nodiscard]] double time_us(const RouteTimes& route, Clock clock) noexcept;

/// Mean time of the baseline over the route's; nothing where one of them did not run.
[[nodiscard]] std::optional<double> ratio(const TraceTimes& trace, const RouteTimes& route, Clock clock, Base base);

/// Over the runs that have it, e.g. one for each seed; `route` is an index into TraceTimes::routes, the same in all.
[[nodiscard]] std::optional<MeanStd> ratio_over(std::span<const TraceTimes> traces, std::size_t route, Clock clock,
                                                Base base);

}  // namespace pkv::reproduce
