#include "svg_style.hpp"

#include <fmt/format.h>

#include <cmath>

namespace pkv::report {

std::string row_colour(int row, int kv_head) {
  return fmt::format("hsl({},62%,{}%)", row * 137LL % 360, 48 + kv_head % 8 * 4);
}

double tick_step(double range) {
  if (!(range > 0.0)) return 1.0;
  const double power = std::pow(10.0, std::floor(std::log10(range / 10.0)));
  for (const int factor : {1, 2, 5})
    if (range / (power * factor) <= 10.0) return power * factor;
  return power * 10.0;
}

}  // namespace pkv::report
