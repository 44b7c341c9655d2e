#include "persistentkv/plan/route.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <string>

namespace pkv {

std::optional<Schedule> schedule_of(Route route) noexcept {
  switch (route) {
    case Route::kExactBuckets:
      return Schedule::kExactBuckets;
    case Route::kCoarseBuckets:
      return Schedule::kCoarseBuckets;
    case Route::kPaddedBucket:
      return Schedule::kPaddedBucket;
    case Route::kSequenceSplit:
      return Schedule::kSequenceSplit;
    case Route::kWorkqueue:
      return Schedule::kWorkqueue;
    case Route::kWorkqueueFused:
      return Schedule::kWorkqueueFused;
    case Route::kStream:
      return Schedule::kStream;
    case Route::kFlashInferCudaCore:
    case Route::kFlashInferTensorCore:
    case Route::kPolicy:
      break;
  }
  return std::nullopt;
}

Route route_of(Schedule schedule) noexcept {
  for (const Route route : kRunnableRoutes)
    if (schedule_of(route) == schedule) return route;
  return Route::kPolicy;  // not reached: every schedule has a route
}

std::string_view to_string(Route route) noexcept {
  if (route == Route::kFlashInferCudaCore) return "flashinfer-cuda-core";
  if (route == Route::kFlashInferTensorCore) return "flashinfer-tensor-core";
  if (const auto schedule = schedule_of(route)) return to_string(*schedule);
  return "policy";
}

Route parse_route(std::string_view text) {
  std::string names;
  for (const Route route : kRunnableRoutes) {
    if (to_string(route) == text) return route;
    names += fmt::format("{}, ", to_string(route));
  }
  if (text == to_string(Route::kPolicy)) return Route::kPolicy;
  throw InvalidArgument(fmt::format("route is \"{}\", must be one of {}policy", text, names));
}

}  // namespace pkv
