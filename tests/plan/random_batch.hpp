#pragma once

// Random and adversarial batches for property tests.

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace pkv::testing {

/// A fresh seed each run, printed by SCOPED_TRACE when something fails.
inline std::uint32_t fresh_seed() { return std::random_device{}(); }

/// Up to `max_rows` rows whose lengths mix empty, tiny, equal, typical and huge ones.
inline std::vector<std::int32_t> random_lengths(std::mt19937& rng, int max_rows, int max_tokens) {
  const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(rng); };
  std::vector<std::int32_t> lengths(static_cast<std::size_t>(pick(0, max_rows)));
  const int typical = pick(1, max_tokens);
  for (std::int32_t& length : lengths) {
    switch (pick(0, 6)) {
      case 0:
        length = 0;
        break;
      case 1:
        length = pick(1, 3);
        break;
      case 2:
        length = typical;
        break;
      case 3:
        length = 32 * pick(1, 8) + pick(-1, 1);
        break;
      case 4:
        length = -pick(1, 5);
        break;
      default:
        length = pick(1, max_tokens);
        break;
    }
  }
  return lengths;
}

}  // namespace pkv::testing
