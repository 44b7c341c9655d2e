#pragma once

#include "results_file.hpp"

#include <string>

namespace pkv::report {

/// The policy and every constant policy, as a plot and a table: an object with `policy` and `constants`.
[[nodiscard]] std::string regret_table(const ResultsRow& regrets, const std::string& title, const std::string& text);

}  // namespace pkv::report
