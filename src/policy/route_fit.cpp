#include "persistentkv/policy/route_fit.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace pkv {

namespace {

constexpr std::array<std::string_view, kNumCostTerms> kNames = {
    "constant",     "extra_launch", "kv_mib",         "first_kv_mib", "middle_kv_mib", "kilo_pages", "tail_ktokens",
    "idle_ktokens", "wave_ktokens", "tasks_per_slot", "merge_mib",    "merge_depth",   "kilo_rows",
};

}  // namespace

std::string_view to_string(CostTerm term) noexcept { return kNames[static_cast<std::size_t>(term)]; }

CostTerm parse_cost_term(std::string_view text) {
  const auto* const found = std::find(kNames.begin(), kNames.end(), text);
  if (found == kNames.end())
    throw InvalidArgument(fmt::format("term is \"{}\", must be one of {}", text, fmt::join(kNames, ", ")));
  return kAllCostTerms[static_cast<std::size_t>(found - kNames.begin())];
}

}  // namespace pkv
