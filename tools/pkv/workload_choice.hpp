#pragma once

#include "persistentkv/measure/suite.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace pkv::cli {

/// One step of the given lengths where there are any, else a suite's workloads whose names contain `only`. Throws
/// InvalidArgument where there is none.
[[nodiscard]] std::vector<Workload> choose_workloads(const std::vector<std::int32_t>& lengths, const std::string& suite,
                                                     const std::string& only);

}  // namespace pkv::cli
