#pragma once

/// Routes: who runs a step. A schedule of ours is one, and so is each path of FlashInfer.

#include "persistentkv/plan/schedule.hpp"

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>

namespace pkv {

enum class Route : std::uint8_t {
  kExactBuckets,
  kCoarseBuckets,
  kPaddedBucket,
  kSequenceSplit,
  kWorkqueue,
  kWorkqueueFused,
  kStream,
  kFlashInferCudaCore,
  kFlashInferTensorCore,  ///< what the paper calls FlashInfer
  kPolicy,                ///< not a way to run a step: whichever of the others the policy chooses
};

/// The routes that run a step: all but kPolicy.
inline constexpr std::array kRunnableRoutes = {
    Route::kExactBuckets,  Route::kCoarseBuckets,      Route::kPaddedBucket,
    Route::kSequenceSplit, Route::kWorkqueue,          Route::kWorkqueueFused,
    Route::kStream,        Route::kFlashInferCudaCore, Route::kFlashInferTensorCore,
};

/// Some of the routes that run a step.
class RouteSet {
 public:
  constexpr RouteSet() = default;
  constexpr RouteSet(std::initializer_list<Route> routes) {
    for (const Route route : routes) insert(route);
  }
  [[nodiscard]] static constexpr RouteSet all() {
    RouteSet routes;
    for (const Route route : kRunnableRoutes) routes.insert(route);
    return routes;
  }

  constexpr void insert(Route route) noexcept { bits_ |= 1U << static_cast<unsigned>(route); }
  [[nodiscard]] constexpr bool contains(Route route) const noexcept {
    return (bits_ >> static_cast<unsigned>(route) & 1U) != 0;
  }
  [[nodiscard]] constexpr bool empty() const noexcept { return bits_ == 0; }
  friend constexpr bool operator==(RouteSet, RouteSet) = default;

 private:
  std::uint32_t bits_ = 0;
};

/// "exact-buckets", ..., "flashinfer-tensor-core", "policy": the names of the CLI, of JSON and of the documents.
[[nodiscard]] std::string_view to_string(Route route) noexcept;

/// The inverse of to_string. Throws InvalidArgument, naming the routes there are.
[[nodiscard]] Route parse_route(std::string_view text);

/// The schedule that a route stands for; nothing for FlashInfer's paths, which cut steps themselves, and for kPolicy.
[[nodiscard]] std::optional<Schedule> schedule_of(Route route) noexcept;

/// The route that runs `schedule`.
[[nodiscard]] Route route_of(Schedule schedule) noexcept;

}  // namespace pkv
