#pragma once

// Random numbers that are the same with every standard library, for a given seed.

#include <cstdint>
#include <span>
#include <utility>

namespace pkv::conformance {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  /// Uniform over 64 bits: splitmix64.
  std::uint64_t bits() noexcept;
  /// Uniform in [low, high].
  std::int64_t in(std::int64_t low, std::int64_t high) noexcept {
    return low + static_cast<std::int64_t>(bits() % static_cast<std::uint64_t>(high - low + 1));
  }
  bool chance(double probability) noexcept { return static_cast<double>(bits() >> 11) * 0x1p-53 < probability; }
  /// Standard normal, from a table of 2^16 draws.
  float normal() noexcept;

  template <class T>
  const T& pick(std::span<const T> values) noexcept {
    return values[static_cast<std::size_t>(in(0, std::ssize(values) - 1))];
  }
  template <class Container>
  void shuffle(Container& values) noexcept {
    for (std::size_t i = values.size(); i > 1; --i)
      std::swap(values[i - 1], values[static_cast<std::size_t>(in(0, static_cast<std::int64_t>(i) - 1))]);
  }

 private:
  std::uint64_t state_;
};

/// PKV_TEST_SEED where it is set, else one that differs from run to run. Failures print it.
[[nodiscard]] std::uint64_t test_seed();

}  // namespace pkv::conformance
