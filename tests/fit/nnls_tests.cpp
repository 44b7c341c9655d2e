#include "fit/nnls.hpp"

#include "persistentkv/core/error.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace pkv::fit {
namespace {

struct Problem {
  std::vector<double> a, b;
  int columns = 0;

  [[nodiscard]] double squares(const std::vector<double>& x) const {
    double sum = 0;
    for (std::size_t r = 0; r < b.size(); ++r) {
      double error = -b[r];
      for (std::size_t c = 0; c < x.size(); ++c) error += a[r * x.size() + c] * x[c];
      sum += error * error;
    }
    return sum;
  }
};

Problem random_problem(std::mt19937& random, int rows, int columns) {
  std::normal_distribution<double> normal;
  Problem problem;
  problem.columns = columns;
  for (int i = 0; i < rows * columns; ++i)
    problem.a.push_back(normal(random) * std::ldexp(1.0, i % columns % 4 * 4 - 6));
  for (int r = 0; r < rows; ++r) problem.b.push_back(normal(random) * 10);
  return problem;
}

/// The unconstrained solution over the columns of `set`, by Gauss-Jordan elimination; empty where there is none.
std::vector<double> solve_subset(const Problem& p, unsigned set) {
  const auto n = static_cast<std::size_t>(p.columns);
  std::vector<std::size_t> columns;
  for (std::size_t c = 0; c < n; ++c)
    if ((set >> c & 1) != 0) columns.push_back(c);
  const std::size_t k = columns.size();
  std::vector<std::vector<long double>> m(k, std::vector<long double>(k + 1));
  for (std::size_t r = 0; r < p.b.size(); ++r) {
    for (std::size_t i = 0; i < k; ++i) {
      for (std::size_t j = 0; j < k; ++j) m[i][j] += p.a[r * n + columns[i]] * p.a[r * n + columns[j]];
      m[i][k] += p.a[r * n + columns[i]] * p.b[r];
    }
  }
  for (std::size_t i = 0; i < k; ++i) {
    std::size_t pivot = i;
    for (std::size_t r = i; r < k; ++r)
      if (std::abs(m[r][i]) > std::abs(m[pivot][i])) pivot = r;
    std::swap(m[i], m[pivot]);
    if (m[i][i] == 0) return {};
    for (std::size_t r = 0; r < k; ++r) {
      const long double times = r == i ? 0 : m[r][i] / m[i][i];
      for (std::size_t c = i; c <= k; ++c) m[r][c] -= times * m[i][c];
    }
  }
  std::vector<double> x(n);
  for (std::size_t i = 0; i < k; ++i) x[columns[i]] = static_cast<double>(m[i][k] / m[i][i]);
  return x;
}

TEST(Nnls, IsTheBestOfEverySetOfColumns) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 400; ++round) {
    const int columns = static_cast<int>(random() % 5) + 1;
    const Problem problem = random_problem(random, columns + static_cast<int>(random() % 6), columns);
    double best = problem.squares(std::vector<double>(static_cast<std::size_t>(columns)));
    for (unsigned set = 1; set < 1u << columns; ++set) {
      const std::vector<double> x = solve_subset(problem, set);
      bool allowed = !x.empty();
      for (const double value : x) allowed = allowed && value >= 0;
      if (allowed) best = std::min(best, problem.squares(x));
    }
    const std::vector<double> found = solve_nnls(problem.a, problem.b, columns);
    for (const double value : found) EXPECT_GE(value, 0);
    EXPECT_LE(problem.squares(found), best * (1 + 1e-7) + 1e-9) << "round " << round;
  }
}

TEST(Nnls, FindsWhatMadeTheNumbers) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 50; ++round) {
    Problem problem = random_problem(random, 40, 13);
    std::vector<double> made(13);
    for (std::size_t c = 0; c < 13; ++c) made[c] = c % 3 == 0 ? 0 : 1.0 + static_cast<double>(random() % 100);
    for (std::size_t r = 0; r < 40; ++r) {
      problem.b[r] = 0;
      for (std::size_t c = 0; c < 13; ++c) problem.b[r] += problem.a[r * 13 + c] * made[c];
    }
    const std::vector<double> found = solve_nnls(problem.a, problem.b, 13);
    for (std::size_t c = 0; c < 13; ++c) EXPECT_NEAR(found[c], made[c], 1e-4) << c;
  }
}

TEST(Nnls, ColumnsThatAreAlikeOrEmptyDoNoHarm) {
  //                           alike       empty
  const std::vector<double> a = {1, 1, 2, 0,  //
                                 1, 1, 3, 0,  //
                                 1, 1, 5, 0};
  const std::vector<double> b = {5 + 2 * 7, 5 + 3 * 7, 5 + 5 * 7};
  const std::vector<double> x = solve_nnls(a, b, 4);
  EXPECT_NEAR(x[0] + x[1], 5, 1e-6);
  EXPECT_NEAR(x[2], 7, 1e-6);
  EXPECT_EQ(x[3], 0);
}

TEST(Nnls, NothingToGainIsNothing) {
  EXPECT_EQ(solve_nnls(std::vector<double>{1, 2}, std::vector<double>{-1, -1}, 1), std::vector<double>{0});
  EXPECT_EQ(solve_nnls({}, {}, 2), (std::vector<double>{0, 0}));
  EXPECT_THROW((void)solve_nnls(std::vector<double>{1, 2, 3}, std::vector<double>{1, 2}, 2), InvalidArgument);
}

}  // namespace
}  // namespace pkv::fit
