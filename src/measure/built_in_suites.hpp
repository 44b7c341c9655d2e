#pragma once

// The files of suites/, as they were when this library was configured (built_in_suites.cpp.in).

#include <span>
#include <string_view>

namespace pkv::detail {

struct BuiltInSuite {
  std::string_view name;
  std::string_view json;
};

[[nodiscard]] std::span<const BuiltInSuite> built_in_suite_files() noexcept;

}  // namespace pkv::detail
