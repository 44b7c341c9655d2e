#include "fit_profile.hpp"

#include "persistentkv/core/error.hpp"
#include "shared_fit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <tuple>
#include <utility>

namespace pkv::fit {

namespace {

constexpr std::array kMargins = {0.0,  0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04,
                                 0.05, 0.07,   0.1,   0.15, 0.2,   0.3,  0.5,  1.0};
constexpr std::array kCautions = {0.0, 0.5, 1.0, 2.0, 3.0};
// A choice takes some 0.5 us of the host, once a step of 32 layers: what gains less than that is not worth one.
constexpr double kAsGood = 5e-4;
constexpr double kAboutAsWell = 1.1;

struct ShapeKey {
  int group_size;
  int head_dim;
  DType dtype;
  friend bool operator==(const ShapeKey&, const ShapeKey&) = default;
};

ShapeKey key_of(const StepSample& sample) { return {sample.shape.group_size(), sample.shape.head_dim, sample.dtype}; }

/// Indices of the samples of each shape that has enough of them.
struct Group {
  ShapeKey key;
  std::vector<std::size_t> indices;
};

std::vector<Group> group(std::span<const StepSample> samples) {
  std::vector<Group> groups;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const ShapeKey key = key_of(samples[i]);
    auto found = std::find_if(groups.begin(), groups.end(), [&](const Group& g) { return g.key == key; });
    if (found == groups.end()) found = groups.insert(found, {key, {}});
    found->indices.push_back(i);
  }
  std::erase_if(groups, [](const Group& g) { return g.indices.size() < std::size_t{kLeastFitSamples}; });
  return groups;
}

/// A candidate, and of each sample what it cost and what was predicted; below 0 where it does not run.
struct Fitted {
  RouteCandidate candidate;
  std::vector<double> cost_us;
  std::vector<double> predicted_us;
  std::vector<double> error;  // mean, of the fit that each sample's shape has
  int shared_fits = 0;
};

/// A shape in one dtype, fitted on one choice.
struct FittedShape {
  ShapeKey key;
  std::vector<const StepSample*> members;
  FittedRoute route;
};

/// Whether a fit of `a` may do for `b`.
bool reads_alike(const ShapeKey& a, const ShapeKey& b) {
  return a.group_size == b.group_size && a.head_dim == b.head_dim && a.dtype != b.dtype &&
         size_bytes(a.dtype) == size_bytes(b.dtype);
}

/// The fit of a shape's own samples, or of those of an earlier dtype where that predicts these about as well: it is
/// made from more of them.
FittedRoute fit_shape(const std::vector<const StepSample*>& members, const ShapeKey& key,
                      const std::vector<FittedShape>& earlier, const Choice& choice, const FitterOptions& options,
                      int& shared_fits) {
  FittedRoute best = fit_route(members, choice, options);
  for (const FittedShape& other : earlier) {
    if (!reads_alike(other.key, key)) continue;
    FittedRoute shared = shared_fit({other.members, other.route}, members, choice, options);
    if (shared.fit.error.mean > kAboutAsWell * best.fit.error.mean) continue;
    best = std::move(shared);
    ++shared_fits;
    break;
  }
  return best;
}

Fitted fit_choice(std::span<const StepSample> samples, const std::vector<Group>& groups, const Choice& choice,
                  const FitterOptions& options, int layers) {
  Fitted fitted{{choice.route, choice.splits}, std::vector<double>(samples.size(), -1.0), {}, {}, 0};
  fitted.predicted_us = fitted.cost_us;
  fitted.error.resize(samples.size());
  std::vector<FittedShape> shapes;
  shapes.reserve(groups.size());
  for (const Group& of : groups) {
    std::vector<const StepSample*> members;
    members.reserve(of.indices.size());
    for (const std::size_t i : of.indices) members.push_back(&samples[i]);
    const auto timed = std::count_if(members.begin(), members.end(),
                                     [&](const StepSample* sample) { return sample->find(choice) != nullptr; });
    if (timed < kLeastFitSamples) continue;
    FittedRoute route = fit_shape(members, of.key, shapes, choice, options, fitted.shared_fits);
    for (std::size_t m = 0; m < members.size(); ++m) {
      fitted.predicted_us[of.indices[m]] = route.predicted_us[m];
      fitted.error[of.indices[m]] = route.fit.error.mean;
    }
    fitted.candidate.fits.push_back(route.fit);
    shapes.push_back({of.key, std::move(members), std::move(route)});
  }
  if (fitted.candidate.fits.empty()) return fitted;
  const PlanFit plan = fit_plan(samples, choice, options);
  fitted.candidate.plan = plan;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const RouteTimes* times = samples[i].find(choice);
    if (times == nullptr || fitted.predicted_us[i] < 0) continue;
    fitted.cost_us[i] = cost_us(times->time_us, times->plan_us, layers);
    if (layers == 0) continue;
    const PolicyInput input = samples[i].input(layers);
    const StepSummary step = summarize(input);
    const double tasks = step_features(options.num_sms, 1, choice.route, choice.splits, input, step).tasks;
    fitted.predicted_us[i] +=
        (plan.step_us + plan.row_us * static_cast<double>(step.active_rows) + plan.task_us * tasks) / layers;
  }
  return fitted;
}

double least_cost(const std::vector<Fitted>& all, std::size_t sample) {
  double least = std::numeric_limits<double>::infinity();
  for (const Fitted& fitted : all)
    if (fitted.cost_us[sample] >= 0) least = std::min(least, fitted.cost_us[sample]);
  return least;
}

/// The cost of `safe` over the smallest, meaned over the steps that any route has a fit for; infinite where it does not
/// run one of them.
double mean_ratio_of(const std::vector<Fitted>& all, const Fitted& safe) {
  double sum = 0;
  int steps = 0;
  for (std::size_t i = 0; i < safe.cost_us.size(); ++i) {
    const double least = least_cost(all, i);
    if (least == std::numeric_limits<double>::infinity()) continue;
    if (safe.cost_us[i] < 0) return std::numeric_limits<double>::infinity();
    sum += safe.cost_us[i] / least;
    ++steps;
  }
  return sum / steps;
}

/// The same of the router's rule, the first of `all` being the safe route.
double mean_ratio_of(const std::vector<Fitted>& all, double caution, double margin) {
  const auto cautious_us = [&](const Fitted& fitted, std::size_t i) {
    return fitted.predicted_us[i] * (1 + caution * fitted.error[i]);
  };
  double sum = 0;
  int steps = 0;
  for (std::size_t i = 0; i < all.front().cost_us.size(); ++i) {
    const Fitted* best = &all.front();
    if (best->cost_us[i] < 0) continue;  // nobody runs it: the safe route runs what any does
    for (const Fitted& fitted : all)
      if (fitted.cost_us[i] >= 0 && cautious_us(fitted, i) < cautious_us(*best, i)) best = &fitted;
    if (cautious_us(*best, i) >= cautious_us(all.front(), i) * (1 - margin)) best = &all.front();
    sum += best->cost_us[i] / least_cost(all, i);
    ++steps;
  }
  return sum / steps;
}

void move_safe_route_first(std::vector<Fitted>& all) {
  std::size_t safe = all.size();
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < all.size(); ++i) {
    const double here = mean_ratio_of(all, all[i]);
    if (here >= least) continue;
    safe = i;
    least = here;
  }
  if (safe == all.size()) throw InvalidArgument("choices have none that runs every step, must have one");
  std::rotate(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(safe),
              all.begin() + static_cast<std::ptrdiff_t>(safe) + 1);
}

/// Of the rules that cost least over the steps, within kAsGood, the one that stays closest to the safe route.
void set_caution(DeviceProfile& profile, const std::vector<Fitted>& all, ExpectedRegret& regret) {
  std::array<std::array<double, kMargins.size()>, kCautions.size()> ratios{};
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t c = 0; c < kCautions.size(); ++c) {
    for (std::size_t m = 0; m < kMargins.size(); ++m) {
      ratios[c][m] = mean_ratio_of(all, kCautions[c], kMargins[m]);
      least = std::min(least, ratios[c][m]);
    }
  }
  for (std::size_t m = 0; m < kMargins.size(); ++m) {
    for (std::size_t c = 0; c < kCautions.size(); ++c) {
      if (ratios[c][m] > least + kAsGood) continue;
      profile.margin = kMargins[m];
      profile.caution = kCautions[c];
      regret.policy = ratios[c][m];
    }
  }
  const auto& costs = all.front().cost_us;
  regret.steps = static_cast<int>(std::count_if(costs.begin(), costs.end(), [](double us) { return us >= 0; }));
  regret.no_margin = ratios[0][0];
  regret.safe_route = mean_ratio_of(all, all.front());
}

/// Fits say nothing of steps larger than any that was measured: there the safe route runs.
std::vector<Gate> gates_of(const DeviceProfile& profile, std::span<const StepSample> samples, int layers) {
  Gate gate{"larger than was calibrated", {}, StepQuantity::kKvMib, std::nullopt, 0};
  for (const RouteCandidate& candidate : profile.candidates)
    if (candidate.route != profile.safe_route && !gate.applies_to(candidate.route))
      gate.routes.push_back(candidate.route);
  if (gate.routes.empty()) return {};
  for (const StepSample& sample : samples)
    gate.max = std::max(*gate.max, summarize(sample.input(layers)).value(StepQuantity::kKvMib));
  return {gate};
}

template <class T>
void insert(std::vector<T>& values, const T& value) {
  if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
}

}  // namespace

FittedProfile fit_profile(DeviceProfile profile, std::span<const StepSample> samples, std::span<const Choice> choices,
                          int layers_per_plan) {
  FitterOptions options;
  options.num_sms = profile.num_sms;
  const std::vector<Group> groups = group(samples);
  std::vector<Fitted> all;
  all.reserve(choices.size());
  for (const Choice& choice : choices) {
    Fitted fitted = fit_choice(samples, groups, choice, options, layers_per_plan);
    if (!fitted.candidate.fits.empty()) all.push_back(std::move(fitted));
  }
  if (all.empty())
    throw InvalidArgument(fmt::format("{} samples, of which no choice has {} of one shape: there is nothing to fit",
                                      samples.size(), kLeastFitSamples));
  move_safe_route_first(all);

  FittedProfile result;
  set_caution(profile, all, result.regret);

  profile.group_sizes.clear();
  profile.head_dims.clear();
  profile.dtypes.clear();
  for (const Group& of : groups) {
    insert(profile.group_sizes, of.key.group_size);
    insert(profile.head_dims, of.key.head_dim);
    insert(profile.dtypes, of.key.dtype);
  }
  for (const Fitted& fitted : all) result.shared_fits += fitted.shared_fits;
  profile.safe_route = all.front().candidate.route;
  profile.candidates.clear();
  for (Fitted& fitted : all) profile.candidates.push_back(std::move(fitted.candidate));
  profile.gates = gates_of(profile, samples, layers_per_plan);
  profile.validate();
  result.profile = std::move(profile);
  return result;
}

}  // namespace pkv::fit
