#pragma once

// One route's coefficients from measured steps.

#include "samples.hpp"

#include <array>
#include <span>
#include <vector>

namespace pkv::fit {

struct FitterOptions {
  int num_sms = 1;
  int folds = 5;  ///< of cross-validation: sample i is predicted by the fit of those with another i % folds

  /// What is tried for RouteFit::resident_ctas_per_sm, the one number that is not linear; the least error is taken.
  std::vector<double> resident_ctas_per_sm = {1, 2, 3, 4, 6, 8, 12, 16};
};

struct FittedRoute {
  RouteFit fit;
  /// One for each sample, by the fit that had not seen it; below 0 where the sample has no times of the route.
  std::vector<double> predicted_us;
};

/// Samples that one fit takes at least.
inline constexpr int kLeastFitSamples = 6;

/// Least squares of relative errors, so that a step of 10 us counts as much as one of 1000. The samples are of one
/// group size, head_dim and dtype. Throws InvalidArgument where fewer than kLeastFitSamples have times of the choice.
[[nodiscard]] FittedRoute fit_route(std::span<const StepSample* const> samples, const Choice& choice,
                                    const FitterOptions& options);

/// What planning costs on the host, likewise; of any shapes.
[[nodiscard]] PlanFit fit_plan(std::span<const StepSample> samples, const Choice& choice, const FitterOptions& options);

/// |predicted / measured - 1| of pairs; those with a prediction below 0 are left out.
[[nodiscard]] FitError error_of(std::span<const double> predicted, std::span<const double> measured);

}  // namespace pkv::fit
