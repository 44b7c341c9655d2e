#include "shared_fit.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace pkv::fit {

namespace {

bool is_same_step(const StepSample& a, const StepSample& b) {
  return a.page_size == b.page_size && a.shape == b.shape && a.lengths == b.lengths;
}

double predicted_us(const FittedSamples& of, const StepSample& sample, const Choice& choice, int num_sms) {
  const auto* const found = std::find_if(of.samples.data(), of.samples.data() + of.samples.size(),
                                         [&](const StepSample* other) { return is_same_step(*other, sample); });
  const auto at = static_cast<std::size_t>(found - of.samples.data());
  if (at < of.samples.size() && of.route.predicted_us[at] >= 0) return of.route.predicted_us[at];
  const RouteFit& fit = of.route.fit;
  const PolicyInput input = sample.input(0);
  const CostTerms terms =
      step_features(num_sms, fit.resident_ctas_per_sm, choice.route, choice.splits, input, summarize(input)).terms;
  double us = 0;
  for (std::size_t i = 0; i < kNumCostTerms; ++i) us += terms[i] * fit.us[i];
  return us;
}

}  // namespace

FittedRoute shared_fit(const FittedSamples& of, std::span<const StepSample* const> samples, const Choice& choice,
                       const FitterOptions& options) {
  FittedRoute shared{of.route.fit, {}};
  shared.fit.dtype = samples.front()->dtype;
  std::vector<double> measured_us;
  measured_us.reserve(samples.size());
  shared.predicted_us.reserve(samples.size());
  for (const StepSample* sample : samples) {
    const RouteTimes* times = sample->find(choice);
    measured_us.push_back(times != nullptr ? median(times->time_us) : 0.0);
    shared.predicted_us.push_back(times != nullptr ? predicted_us(of, *sample, choice, options.num_sms) : -1.0);
  }
  shared.fit.error = error_of(shared.predicted_us, measured_us);
  return shared;
}

}  // namespace pkv::fit
