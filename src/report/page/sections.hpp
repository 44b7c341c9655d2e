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
/// Runs of `pkv replay --serve`.
[[nodiscard]] std::string serving_section(const ResultsFile& file);
/// Steps of `pkv timeline`.
[[nodiscard]] std::string timeline_section(const ResultsFile& file);
/// Tables of `pkv reproduce`.
[[nodiscard]] std::string reproduce_section(const ResultsFile& file);
/// Of `pkv regret`: the policy and every constant policy.
[[nodiscard]] std::string regret_section(const ResultsFile& file);
/// Of `pkv calibrate`: how well the fits foretell.
[[nodiscard]] std::string calibrate_section(const ResultsFile& file);

}  // namespace pkv::report
