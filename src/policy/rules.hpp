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

/// Whether there is an estimate of that candidate for this step's shape and dtype.
inline bool estimates(const RouteCandidate& candidate, const PolicyInput& input) noexcept {
  const AttentionShape& shape = input.step.shape;
  return candidate.fits.empty() || candidate.fit(shape.group_size(), shape.head_dim, input.dtype) != nullptr;
}

inline bool covers(const DeviceProfile& profile, const PolicyInput& input) noexcept {
  const auto estimated = [&](const RouteCandidate& candidate) { return estimates(candidate, input); };
  return std::any_of(profile.candidates.begin(), profile.candidates.end(), estimated) &&
         contains(profile.group_sizes, input.step.shape.group_size()) &&
         contains(profile.head_dims, input.step.shape.head_dim) && contains(profile.dtypes, input.dtype) &&
         (input.device_name.empty() || input.device_name == profile.device_name);
}

/// The first gate that rules `route` out, or null.
inline const Gate* failed_gate(const DeviceProfile& profile, Route route, const StepSummary& step) noexcept {
  for (const Gate& gate : profile.gates)
    if (gate.applies_to(route) && !gate.admits(step.value(gate.quantity))) return &gate;
  return nullptr;
}

/// A candidate as it would be run: in the run's splits where it names some, else in the candidate's.
[[nodiscard]] Choice choice_of(Route route, int candidate_splits, const PolicyInput& input) noexcept;

/// With every candidate estimated. Of fitted profiles, the router finds the same by a shorter way (shortlist.hpp).
[[nodiscard]] Ruling rule(const DeviceProfile& profile, const PolicyInput& input, const StepSummary& step,
                          const RouteOffer& offer);

}  // namespace pkv::detail
