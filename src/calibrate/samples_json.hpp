#pragma once

// Measured steps as JSON, so that they can be fitted and judged again where the device is not.

#include "fit/samples.hpp"

#include <nlohmann/json.hpp>

#include <span>
#include <string>
#include <vector>

namespace pkv::calibrate {

/// An array of {"workload", "num_q_heads", "num_kv_heads", "head_dim", "dtype", "page_size", "lengths", "routes":
/// [{"route", "splits", "plan_us", "time_us": [...]}]}. The inverse gives equal numbers.
[[nodiscard]] nlohmann::ordered_json samples_to_json(std::span<const fit::StepSample> samples);

/// The inverse. Throws IoError, beginning with `source`, for another form.
[[nodiscard]] std::vector<fit::StepSample> samples_from_json(const nlohmann::ordered_json& json,
                                                             const std::string& source);

}  // namespace pkv::calibrate
