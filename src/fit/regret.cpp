#include "regret.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <utility>

namespace pkv::fit {

namespace {

constexpr double kToleratedRatio = 1.05;
constexpr double kToleratedUs = 0.5;

/// A route's cost of a step by each half of its repetitions.
struct HalfCosts {
  Choice choice;
  std::array<double, 2> us{};
};

std::vector<HalfCosts> half_costs(const StepSample& sample, const RegretOptions& options, bool with_stream) {
  std::vector<HalfCosts> costs;
  costs.reserve(sample.routes.size());
  for (const RouteTimes& route : sample.routes) {
    if (route.time_us.size() < 2 || (!with_stream && route.choice.route == Route::kStream)) continue;
    std::array<std::vector<double>, 2> halves;
    for (std::size_t i = 0; i < route.time_us.size(); ++i) halves[i % 2].push_back(route.time_us[i]);
    costs.push_back({route.choice,
                     {cost_us(halves[0], route.plan_us, options.layers_per_plan),
                      cost_us(halves[1], route.plan_us, options.layers_per_plan)}});
  }
  return costs;
}

const HalfCosts& best_by(const std::vector<HalfCosts>& costs, std::size_t half) {
  return *std::min_element(costs.begin(), costs.end(),
                           [half](const HalfCosts& a, const HalfCosts& b) { return a.us[half] < b.us[half]; });
}

/// Adds a step's regret; the sums are made means by finish().
void add(Regret& regret, const std::vector<HalfCosts>& costs, const HalfCosts& chosen, const StepSample& sample) {
  double ratio = 0, us = 0;
  for (const std::size_t scored : {std::size_t{0}, std::size_t{1}}) {
    const double best_us = best_by(costs, 1 - scored).us[scored];
    ratio += chosen.us[scored] / best_us / 2;
    us += (chosen.us[scored] - best_us) / 2;
  }
  if (regret.steps == 0 || ratio > regret.max_ratio) {
    regret.max_ratio = ratio;
    regret.max_step = fmt::format("{} B{}", sample.workload, sample.lengths.size());
  }
  regret.max_us = regret.steps == 0 ? us : std::max(regret.max_us, us);
  regret.mean_ratio = (regret.steps == 0 ? 0 : regret.mean_ratio) + ratio;
  regret.mean_us += us;
  regret.steps_over += ratio > kToleratedRatio && us > kToleratedUs ? 1 : 0;
  ++regret.steps;
}

void finish(Regret& regret) {
  if (regret.steps == 0) return;
  regret.mean_ratio /= regret.steps;
  regret.mean_us /= regret.steps;
}

const HalfCosts* find(const std::vector<HalfCosts>& costs, const Choice& choice) {
  const auto found =
      std::find_if(costs.begin(), costs.end(), [&](const HalfCosts& cost) { return cost.choice == choice; });
  return found == costs.end() ? nullptr : &*found;
}

RouteOffer offer_of(const std::vector<HalfCosts>& costs) {
  RouteOffer offer;
  offer.routes = {};
  for (const HalfCosts& cost : costs) offer.routes.insert(cost.choice.route);
  return offer;
}

RegretTable table_of(const Router& router, std::span<const StepSample> samples, const RegretOptions& options,
                     bool with_stream) {
  RegretTable table;
  table.policy.name = "policy";
  for (const StepSample& sample : samples) {
    const std::vector<HalfCosts> costs = half_costs(sample, options, with_stream);
    if (costs.empty()) continue;
    const Choice chosen = router.choose(sample.input(options.layers_per_plan), offer_of(costs));
    if (const HalfCosts* cost = find(costs, chosen)) add(table.policy, costs, *cost, sample);
    for (const HalfCosts& cost : costs) {
      const std::string name = name_of(cost.choice);
      const auto same = [&](const Regret& regret) { return regret.name == name; };
      auto constant = std::find_if(table.constants.begin(), table.constants.end(), same);
      if (constant == table.constants.end()) {
        constant = table.constants.emplace(constant);
        constant->name = name;
      }
      add(*constant, costs, cost, sample);
    }
  }
  finish(table.policy);
  for (Regret& constant : table.constants) finish(constant);
  std::stable_sort(table.constants.begin(), table.constants.end(),
                   [](const Regret& a, const Regret& b) { return a.mean_ratio < b.mean_ratio; });
  return table;
}

}  // namespace

std::string name_of(const Choice& choice) {
  if (choice.splits == 0) return std::string(to_string(choice.route));
  return fmt::format("{}/{}", to_string(choice.route), choice.splits);
}

RegretReport regret_of(const Router& router, std::span<const StepSample> samples, const RegretOptions& options) {
  RegretReport report;
  report.all = table_of(router, samples, options, true);
  if (report.all.constants.empty())
    throw InvalidArgument("samples have no step with two repetitions of a route, must have one");
  for (const Regret& constant : report.all.constants) report.steps = std::max(report.steps, constant.steps);
  RegretTable without = table_of(router, samples, options, false);
  if (!without.constants.empty()) report.without_stream = std::move(without);
  return report;
}

}  // namespace pkv::fit
