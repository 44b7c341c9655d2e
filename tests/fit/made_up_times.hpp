#pragma once

// Steps whose times are made from known coefficients, with noise or without.

#include "fit/samples.hpp"

#include <cstdint>
#include <random>
#include <vector>

namespace pkv::fit::testing_support {

/// What a route costs in a made-up world.
struct TrueCost {
  Choice choice;
  double resident_ctas_per_sm = 1;
  CostTerms us{};
  PlanFit plan;
};

inline CostTerms terms(std::initializer_list<std::pair<CostTerm, double>> values) {
  CostTerms us{};
  for (const auto& [term, value] : values) at(us, term) = value;
  return us;
}

/// A profile of which only the device is known yet.
inline DeviceProfile made_up_device(int num_sms) {
  DeviceProfile profile;
  profile.name = "made-up";
  profile.device_name = "A GPU";
  profile.num_sms = num_sms;
  profile.cost = {TimeUnits::kSi, 4000, 1, 2};
  return profile;
}

inline std::vector<const StepSample*> pointers(const std::vector<StepSample>& samples) {
  std::vector<const StepSample*> all;
  all.reserve(samples.size());
  for (const StepSample& sample : samples) all.push_back(&sample);
  return all;
}

inline double true_us(const TrueCost& cost, const StepSample& sample, int num_sms) {
  const PolicyInput input = sample.input(0);
  const StepFeatures features =
      step_features(num_sms, cost.resident_ctas_per_sm, cost.choice.route, cost.choice.splits, input, summarize(input));
  double us = 0;
  for (std::size_t i = 0; i < kNumCostTerms; ++i) us += features.terms[i] * cost.us[i];
  return us;
}

inline double true_plan_us(const TrueCost& cost, const StepSample& sample, int num_sms) {
  const PolicyInput input = sample.input(0);
  const StepSummary step = summarize(input);
  return cost.plan.step_us + cost.plan.row_us * static_cast<double>(step.active_rows) +
         cost.plan.task_us * step_features(num_sms, 1, cost.choice.route, cost.choice.splits, input, step).tasks;
}

/// Rows of 1 to 64 Ki tokens, 1 to 64 of them, alike or not.
inline std::vector<std::int32_t> random_lengths(std::mt19937& random) {
  std::vector<std::int32_t> lengths(1u << random() % 7);
  const double mean = 64 * std::exp2(static_cast<double>(random() % 1000) / 100);
  const bool alike = random() % 3 == 0;
  for (std::int32_t& length : lengths)
    length = static_cast<std::int32_t>(alike ? mean : mean * (1 + static_cast<double>(random() % 1000)) / 500) + 1;
  return lengths;
}

inline std::vector<StepSample> make_samples(std::mt19937& random, int count, const AttentionShape& shape, int num_sms,
                                            const std::vector<TrueCost>& costs, double noise) {
  std::normal_distribution<double> normal(1.0, noise);
  std::vector<StepSample> samples(static_cast<std::size_t>(count));
  for (StepSample& sample : samples) {
    sample.workload = "made up";
    sample.shape = shape;
    sample.lengths = random_lengths(random);
    for (const TrueCost& cost : costs) {
      RouteTimes times{cost.choice, true_plan_us(cost, sample, num_sms), {}};
      for (int repetition = 0; repetition < 4; ++repetition)
        times.time_us.push_back(true_us(cost, sample, num_sms) * (noise > 0 ? normal(random) : 1.0));
      sample.routes.push_back(std::move(times));
    }
  }
  return samples;
}

}  // namespace pkv::fit::testing_support
