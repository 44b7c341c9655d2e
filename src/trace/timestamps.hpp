#pragma once

// Dates and times of day, as Azure's traces write them.

#include <cstdint>
#include <optional>
#include <sstream>
#include <string_view>

namespace pkv::detail {

/// Reads "2023-11-16 18:15:46.6805900" (UTC), "2024-05-10 00:00:00.009930+00:00" and their ISO 8601 spelling with T and
/// Z. The fraction is optional, of up to seven digits.
class TimestampParser {
 public:
  TimestampParser();

  /// Microseconds since 1970 UTC, rounded down; nothing where `text` is no such timestamp.
  [[nodiscard]] std::optional<std::int64_t> parse_us(std::string_view text);

 private:
  std::istringstream stream_;  // kept: making one costs more than parsing
};

}  // namespace pkv::detail
