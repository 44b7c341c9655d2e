#include "samples.hpp"

#include <algorithm>
#include <cstddef>

namespace pkv::fit {

const RouteTimes* StepSample::find(const Choice& choice) const noexcept {
  for (const RouteTimes& times : routes)
    if (times.choice == choice && !times.time_us.empty()) return &times;
  return nullptr;
}

PolicyInput StepSample::input(int layers_per_plan) const {
  PolicyInput input;
  input.step = {shape, lengths, {}};
  input.dtype = dtype;
  input.page_size = page_size;
  input.layers_per_plan = layers_per_plan;
  return input;
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const std::size_t half = values.size() / 2;
  std::sort(values.begin(), values.end());
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

double cost_us(std::span<const double> times, double plan_us, int layers_per_plan) {
  const double layer_us = median({times.begin(), times.end()});
  return layers_per_plan > 0 ? layer_us + plan_us / layers_per_plan : layer_us;
}

}  // namespace pkv::fit
