#pragma once

// What the page says of one results file: plots and a table, by what was measured.

#include "results_file.hpp"

#include <string>

namespace pkv::report {

/// Rows of `pkv bench --backend cuda`.
[[nodiscard]] std::string cuda_bench_section(const ResultsFile& file);
/// Rows of `pkv bench --backend cpu`.
[[nodiscard]] std::string cpu_bench_section(const ResultsFile& file);
/// Rows of `pkv replay`.
[[nodiscard]] std::string replay_section(const ResultsFile& file);

}  // namespace pkv::report
