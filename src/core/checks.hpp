#pragma once

// Bounds checks that name the argument, its value and the bound.

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace pkv::detail {

/// The name of an argument, put together only when there is something to complain about: checks stand in calls that
/// must not allocate.
struct Name {
  std::string_view object;
  std::string_view member = {};

  Name(const char* whole) : object(whole) {}  // NOLINT(google-explicit-constructor): reads as a plain name
  Name(std::string_view whole_object, std::string_view of_member) : object(whole_object), member(of_member) {}
  [[nodiscard]] std::string text() const { return fmt::format("{}{}{}", object, member.empty() ? "" : ".", member); }
};

/// Throws InvalidArgument unless low <= value <= high.
inline void require_in_range(const Name& name, std::int64_t value, std::int64_t low, std::int64_t high) {
  if (value < low || value > high)
    throw InvalidArgument(fmt::format("{} is {}, must be in [{}, {}]", name.text(), value, low, high));
}

inline void require_not_null(const Name& name, const void* pointer) {
  if (pointer == nullptr) throw InvalidArgument(fmt::format("{} is null", name.text()));
}

/// a * b + c for non-negative operands; throws InvalidArgument, naming what overflowed, past 2^62.
inline std::int64_t checked_multiply_add(const Name& name, std::int64_t a, std::int64_t b, std::int64_t c) {
  constexpr std::int64_t kMax = std::int64_t{1} << 62;
  std::int64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result) || __builtin_add_overflow(result, c, &result) || result > kMax)
    throw InvalidArgument(fmt::format("{} overflows: {} * {} + {} exceeds 2^62 elements", name.text(), a, b, c));
  return result;
}

}  // namespace pkv::detail
