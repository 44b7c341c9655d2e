#pragma once

#include "results_file.hpp"

#include <string>
#include <vector>

namespace pkv::report {

/// The policy and every constant policy, as plots and tables: an object with `all` and perhaps `without_stream`, each
/// of which has `policy` and `constants`.
[[nodiscard]] std::string regret_tables(const ResultsRow& regrets);

/// The policy and the best constant one, by workload.
[[nodiscard]] std::string regret_by_workload(const std::vector<ResultsRow>& workloads);

}  // namespace pkv::report
