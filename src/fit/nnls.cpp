#include "nnls.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace pkv::fit {

namespace {

using Vector = std::vector<double>;

/// A pivot this small beside its column's 1: the column says nothing new.
constexpr double kSingular = 1e-9;

/// A^T A and A^T b of columns scaled to length 1.
struct Normal {
  std::size_t n = 0;
  Vector gram, right, scale;

  Normal(std::span<const double> a, std::span<const double> b, std::size_t columns)
      : n(columns), gram(columns * columns), right(columns), scale(columns) {
    for (std::size_t r = 0; r < b.size(); ++r)
      for (std::size_t c = 0; c < n; ++c) scale[c] += a[r * n + c] * a[r * n + c];
    for (double& s : scale) s = s > 0 ? 1 / std::sqrt(s) : 0.0;
    for (std::size_t r = 0; r < b.size(); ++r) {
      for (std::size_t c = 0; c < n; ++c) {
        const double value = a[r * n + c] * scale[c];
        right[c] += value * b[r];
        for (std::size_t d = 0; d <= c; ++d) gram[c * n + d] += value * a[r * n + d] * scale[d];
      }
    }
    for (std::size_t c = 0; c < n; ++c)
      for (std::size_t d = 0; d < c; ++d) gram[d * n + c] = gram[c * n + d];
  }

  /// The unconstrained minimum over some columns, by Cholesky; empty where they depend on one another.
  [[nodiscard]] Vector minimum(const std::vector<std::size_t>& columns) const {
    const std::size_t k = columns.size();
    Vector lower(k * k), x(k);
    for (std::size_t i = 0; i < k; ++i) {
      for (std::size_t j = 0; j <= i; ++j) {
        double sum = gram[columns[i] * n + columns[j]];
        for (std::size_t p = 0; p < j; ++p) sum -= lower[i * k + p] * lower[j * k + p];
        if (i == j && sum < kSingular) return {};
        lower[i * k + j] = i == j ? std::sqrt(sum) : sum / lower[j * k + j];
      }
    }
    for (std::size_t i = 0; i < k; ++i) {
      double sum = right[columns[i]];
      for (std::size_t p = 0; p < i; ++p) sum -= lower[i * k + p] * x[p];
      x[i] = sum / lower[i * k + i];
    }
    for (std::size_t i = k; i-- > 0;) {
      double sum = x[i];
      for (std::size_t p = i + 1; p < k; ++p) sum -= lower[p * k + i] * x[p];
      x[i] = sum / lower[i * k + i];
    }
    return x;
  }

  /// Minus half the slope of the squares along each coefficient, at x.
  [[nodiscard]] double descent(std::size_t column, const Vector& x) const {
    double sum = right[column];
    for (std::size_t c = 0; c < n; ++c) sum -= gram[column * n + c] * x[c];
    return sum;
  }
};

}  // namespace

std::vector<double> solve_nnls(std::span<const double> a, std::span<const double> b, int columns) {
  if (columns < 0 || a.size() != b.size() * static_cast<std::size_t>(columns))
    throw InvalidArgument(
        fmt::format("a has {} entries, must have rows * columns = {} * {}", a.size(), b.size(), columns));
  const Normal normal(a, b, static_cast<std::size_t>(columns));
  const std::size_t n = normal.n;
  Vector x(n);
  std::vector<bool> refused(n);
  std::vector<std::size_t> free;  // the columns whose coefficients may be above 0
  double largest = 0;
  for (const double value : normal.right) largest = std::max(largest, std::abs(value));

  for (std::size_t step = 0; step < 10 * n + 10; ++step) {
    std::size_t steepest = n;
    double slope = largest * 1e-10;
    for (std::size_t c = 0; c < n; ++c) {
      if (refused[c] || normal.scale[c] == 0 || std::find(free.begin(), free.end(), c) != free.end()) continue;
      if (const double here = normal.descent(c, x); here > slope) {
        steepest = c;
        slope = here;
      }
    }
    if (steepest == n) break;
    free.push_back(steepest);
    Vector target = normal.minimum(free);
    // Rounding can ask for a column that would then go below zero: it would be asked for for ever.
    if (target.empty() || target.back() <= 0) {
      free.pop_back();
      refused[steepest] = true;
      continue;
    }
    // Towards the minimum, as far as nothing becomes negative; what reaches zero stays there.
    while (std::any_of(target.begin(), target.end(), [](double value) { return value <= 0; })) {
      double way = 1;
      for (std::size_t i = 0; i < free.size(); ++i)
        if (target[i] <= 0) way = std::min(way, x[free[i]] / (x[free[i]] - target[i]));
      std::vector<std::size_t> still;
      still.reserve(free.size());
      for (std::size_t i = 0; i < free.size(); ++i) {
        double& value = x[free[i]];
        value += way * (target[i] - value);
        if (target[i] <= 0 && value <= 1e-12 * std::abs(target[i])) value = 0;
        if (value > 0) still.push_back(free[i]);
      }
      if (still.size() == free.size()) break;
      free = std::move(still);
      target = normal.minimum(free);
    }
    std::fill(x.begin(), x.end(), 0.0);
    for (std::size_t i = 0; i < free.size(); ++i) x[free[i]] = std::max(target[i], 0.0);
    std::fill(refused.begin(), refused.end(), false);
  }
  for (std::size_t c = 0; c < n; ++c) x[c] *= normal.scale[c];
  return x;
}

}  // namespace pkv::fit
