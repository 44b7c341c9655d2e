#pragma once

// The rules that the router applies and explains.

#include "persistentkv/policy/router.hpp"

#include <algorithm>
#include <vector>

namespace pkv::detail {

template <class T>
bool contains(const std::vector<T>& values, const T& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

inline bool covers(const DeviceProfile& profile, const PolicyInput& input) noexcept {
  return contains(profile.group_sizes, input.step.shape.group_size()) &&
         contains(profile.head_dims, input.step.shape.head_dim) && contains(profile.dtypes, input.dtype) &&
         (input.device_name.empty() || input.device_name == profile.device_name);
}

/// The first gate that rules `route` out, or null.
inline const Gate* failed_gate(const DeviceProfile& profile, Route route, const StepSummary& step) noexcept {
  for (const Gate& gate : profile.gates)
    if (gate.applies_to(route) && !gate.admits(step.value(gate.quantity))) return &gate;
  return nullptr;
}

[[nodiscard]] Ruling rule(const DeviceProfile& profile, const PolicyInput& input, const StepSummary& step,
                          const RouteOffer& offer);

}  // namespace pkv::detail
