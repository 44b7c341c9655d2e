#pragma once

// A device profile from measured steps.

#include "route_fitter.hpp"
#include "samples.hpp"

#include "persistentkv/policy/device_profile.hpp"

#include <span>
#include <vector>

namespace pkv::fit {

/// How the choices of the fits do on the steps that they were fitted on, each step predicted by fits that had not seen
/// it. Ratios are costs over the smallest measured cost.
struct ExpectedRegret {
  int steps = 0;
  double policy = 1;      ///< mean ratio, with caution and margin
  double no_margin = 1;   ///< the smallest estimate wherever it is
  double safe_route = 1;  ///< always the safe route
};

struct FittedProfile {
  DeviceProfile profile;
  ExpectedRegret regret;
  int shared_fits = 0;  ///< of the profile's fits, those with the coefficients of another dtype
};

/// Fills `profile`'s calibrated shapes, candidates, safe route, caution and margin from the samples; name, device,
/// constants and provenance are the caller's, and stay. A choice is a candidate where it has fits for any shape, in the
/// order given but with the safe route's first. Of dtypes of the same size, the later one's fit of a shape is the
/// earlier one's where that predicts the later one's samples as well as a fit of their own does, both by
/// cross-validation, and its error is that of the later one's samples. The safe route is the one that, always taken,
/// costs least over the steps, of those that run all of them. Of the margins and cautions tried, those that cost no
/// more than others, within 0.05 %, and the largest of them. Throws InvalidArgument where no choice has
/// kLeastFitSamples samples of a shape, or none runs every step.
[[nodiscard]] FittedProfile fit_profile(DeviceProfile profile, std::span<const StepSample> samples,
                                        std::span<const Choice> choices, int layers_per_plan = 32);

}  // namespace pkv::fit
