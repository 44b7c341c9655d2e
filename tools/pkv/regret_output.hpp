#pragma once

// A regret run for people and as JSON: of `pkv regret`, and a section of `pkv reproduce`.

#include "calibrate/measure_regret.hpp"

#include <nlohmann/json.hpp>

#include <string>

namespace pkv::cli {

/// Policy and constant policies over all steps, the same without `stream`, and each workload's.
[[nodiscard]] std::string regret_tables(const calibrate::RegretRun& run);

/// Members for results: "all", "without_stream" where there is one, "workloads", "seconds".
[[nodiscard]] nlohmann::ordered_json regret_json(const calibrate::RegretRun& run);

}  // namespace pkv::cli
