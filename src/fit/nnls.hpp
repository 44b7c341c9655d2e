#pragma once

// Least squares with coefficients that are not negative.

#include <span>
#include <vector>

namespace pkv::fit {

/// The x >= 0 that minimises |A x - b|, by Lawson and Hanson's active sets on the normal equations of scaled columns.
/// `a` is [b.size(), columns], row by row. Of columns that are alike within rounding one is used, the others get 0; so
/// does a column of zeros. Throws InvalidArgument where a.size() is not b.size() * columns.
[[nodiscard]] std::vector<double> solve_nnls(std::span<const double> a, std::span<const double> b, int columns);

}  // namespace pkv::fit
