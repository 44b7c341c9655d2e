#pragma once

#include "results_file.hpp"

#include <string>

namespace pkv::report {

/// How it was run, and what was not as it must be.
[[nodiscard]] std::string reproduce_facts(const ResultsRow& root);

/// What `pkv reproduce` measured beside ratios: times, isolated rows, ablations, the MLP's share, counters.
[[nodiscard]] std::string reproduce_tables(const ResultsFile& file);

}  // namespace pkv::report
