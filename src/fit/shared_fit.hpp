#pragma once

// Dtypes of one size read the same bytes: what was fitted for one may do for another, from fewer samples.

#include "route_fitter.hpp"
#include "samples.hpp"

#include <span>

namespace pkv::fit {

/// The samples of one shape and dtype, and a route's fit of them.
struct FittedSamples {
  std::span<const StepSample* const> samples;
  const FittedRoute& route;
};

/// The coefficients of `of`, judged by samples of the same shape in another dtype: each predicted by the fit that had
/// not seen the step of the same lengths, heads and pages, so that the error is as honest as that of a fit of their
/// own.
[[nodiscard]] FittedRoute shared_fit(const FittedSamples& of, std::span<const StepSample* const> samples,
                                     const Choice& choice, const FitterOptions& options);

}  // namespace pkv::fit
