#include "route_fitter.hpp"

#include "nnls.hpp"
#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>

namespace pkv::fit {

namespace {

constexpr double kLeastPlanUs = 1.0;  // shorter planning is noise
constexpr double kBetter = 0.999;     // of squared errors: of what is as good, the first, whatever rounding says

struct Row {
  std::size_t sample = 0;
  CostTerms terms{};
  double us = 0;
};

double dot(const CostTerms& terms, const CostTerms& us) {
  double sum = 0;
  for (std::size_t i = 0; i < kNumCostTerms; ++i) sum += terms[i] * us[i];
  return sum;
}

/// Profiles are read by people too: six digits say more than was measured.
double rounded(double value) { return std::stod(fmt::format("{:.6g}", value)); }

/// Clears the terms that fewer than kLeastRows rows have to speak of: a coefficient made from one or two steps would be
/// those steps' error, and huge where the term is small.
void drop_rare(std::vector<double>& a) {
  constexpr int kLeastRows = 4;
  constexpr double kToSpeakOf = 0.01;  // of the largest
  for (std::size_t term = 0; term < kNumCostTerms; ++term) {
    double largest = 0;
    for (std::size_t i = term; i < a.size(); i += kNumCostTerms) largest = std::max(largest, a[i]);
    int rows = 0;
    for (std::size_t i = term; i < a.size(); i += kNumCostTerms) rows += a[i] > kToSpeakOf * largest ? 1 : 0;
    if (rows >= kLeastRows) continue;
    for (std::size_t i = term; i < a.size(); i += kNumCostTerms) a[i] = 0;
  }
}

/// The coefficients of all rows but those of one fold; -1: of all.
CostTerms coefficients(const std::vector<Row>& rows, int fold, int folds) {
  std::vector<double> a, b;
  a.reserve(rows.size() * kNumCostTerms);
  b.reserve(rows.size());
  for (const Row& row : rows) {
    if (static_cast<int>(row.sample % static_cast<std::size_t>(folds)) == fold) continue;
    for (const double term : row.terms) a.push_back(term / row.us);
    b.push_back(1.0);
  }
  drop_rare(a);
  const std::vector<double> found = solve_nnls(a, b, static_cast<int>(kNumCostTerms));
  CostTerms us{};
  std::transform(found.begin(), found.end(), us.begin(), rounded);
  return us;
}

std::vector<Row> rows_of(std::span<const StepSample* const> samples, const Choice& choice, int num_sms,
                         double resident) {
  std::vector<Row> rows;
  rows.reserve(samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const RouteTimes* times = samples[i]->find(choice);
    if (times == nullptr) continue;
    const PolicyInput input = samples[i]->input(0);
    rows.push_back({i, step_features(num_sms, resident, choice.route, choice.splits, input, summarize(input)).terms,
                    median(times->time_us)});
  }
  return rows;
}

double mean_square(const std::vector<Row>& rows, const std::vector<double>& predicted_us) {
  double sum = 0;
  for (const Row& row : rows) sum += std::pow(predicted_us[row.sample] / row.us - 1, 2);
  return sum / static_cast<double>(rows.size());
}

std::vector<double> predict_unseen(const std::vector<Row>& rows, std::size_t num_samples, int folds) {
  std::vector<double> predicted_us(num_samples, -1.0);
  for (int fold = 0; fold < folds; ++fold) {
    const CostTerms us = coefficients(rows, fold, folds);
    for (const Row& row : rows)
      if (static_cast<int>(row.sample % static_cast<std::size_t>(folds)) == fold)
        predicted_us[row.sample] = dot(row.terms, us);
  }
  return predicted_us;
}

}  // namespace

FittedRoute fit_route(std::span<const StepSample* const> samples, const Choice& choice, const FitterOptions& options) {
  FittedRoute best;
  double least = 0;
  for (const double resident : options.resident_ctas_per_sm) {
    const std::vector<Row> rows = rows_of(samples, choice, options.num_sms, resident);
    if (static_cast<int>(rows.size()) < kLeastFitSamples) {
      throw InvalidArgument(fmt::format("{} samples have times of {}, must be at least {}", rows.size(),
                                        to_string(choice.route), kLeastFitSamples));
    }
    std::vector<double> predicted_us = predict_unseen(rows, samples.size(), options.folds);
    const double error = mean_square(rows, predicted_us);
    if (!best.predicted_us.empty() && error >= least * kBetter) continue;
    least = error;
    best.predicted_us = std::move(predicted_us);
    best.fit.resident_ctas_per_sm = resident;
    best.fit.us = coefficients(rows, -1, options.folds);
  }
  const StepSample& first = *samples.front();
  best.fit.group_size = first.shape.group_size();
  best.fit.head_dim = first.shape.head_dim;
  best.fit.dtype = first.dtype;
  std::vector<double> measured;
  measured.reserve(samples.size());
  for (const StepSample* sample : samples) {
    const RouteTimes* times = sample->find(choice);
    measured.push_back(times != nullptr ? median(times->time_us) : 0.0);
  }
  best.fit.error = error_of(best.predicted_us, measured);
  return best;
}

PlanFit fit_plan(std::span<const StepSample> samples, const Choice& choice, const FitterOptions& options) {
  std::vector<double> a, b;
  a.reserve(samples.size() * 3);
  b.reserve(samples.size());
  for (const StepSample& sample : samples) {
    const RouteTimes* times = sample.find(choice);
    if (times == nullptr) continue;
    const PolicyInput input = sample.input(0);
    const StepSummary step = summarize(input);
    const double tasks = step_features(options.num_sms, 1, choice.route, choice.splits, input, step).tasks;
    const double weight = 1 / std::max(times->plan_us, kLeastPlanUs);
    for (const double feature : {1.0, static_cast<double>(step.active_rows), tasks}) a.push_back(feature * weight);
    b.push_back(times->plan_us * weight);
  }
  const std::vector<double> us = solve_nnls(a, b, 3);
  return {rounded(us[0]), rounded(us[1]), rounded(us[2])};
}

FitError error_of(std::span<const double> predicted, std::span<const double> measured) {
  std::vector<double> errors;
  errors.reserve(predicted.size());
  FitError error;
  for (std::size_t i = 0; i < predicted.size(); ++i) {
    if (predicted[i] < 0) continue;
    errors.push_back(std::abs(predicted[i] / measured[i] - 1));
    error.mean += errors.back();
    error.max = std::max(error.max, errors.back());
  }
  error.steps = static_cast<int>(errors.size());
  if (errors.empty()) return error;
  error.mean = rounded(error.mean / error.steps);
  error.max = rounded(error.max);
  error.median = rounded(median(errors));
  return error;
}

}  // namespace pkv::fit
