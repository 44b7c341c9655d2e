#pragma once

#include <nlohmann/json.hpp>

namespace pkv::cli {

/// Runs this very command in `count` processes of its own, one after the other, and joins their rows: medians over the
/// processes, and beside the times of a step the best and the worst process's.
[[nodiscard]] nlohmann::ordered_json measure_in_processes(int count);

}  // namespace pkv::cli
