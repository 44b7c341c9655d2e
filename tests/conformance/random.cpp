#include "conformance/random.hpp"

#include <array>
#include <cmath>
#include <cstdlib>
#include <numbers>
#include <random>

namespace pkv::conformance {

std::uint64_t Random::bits() noexcept {
  std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

float Random::normal() noexcept {
  static const std::array<float, 65536> table = [] {
    std::array<float, 65536> normals{};
    Random random(1);
    for (float& x : normals) {  // Box and Muller
      const double radius = std::sqrt(-2.0 * std::log((static_cast<double>(random.bits() >> 11) + 0.5) * 0x1p-53));
      x = static_cast<float>(radius * std::cos(2.0 * std::numbers::pi * static_cast<double>(random.bits()) * 0x1p-64));
    }
    return normals;
  }();
  return table[bits() >> 48];
}

std::uint64_t test_seed() {
  static const std::uint64_t seed = [] {
    const char* text = std::getenv("PKV_TEST_SEED");
    return text != nullptr ? std::strtoull(text, nullptr, 0) : std::uint64_t{std::random_device{}()};
  }();
  return seed;
}

}  // namespace pkv::conformance
