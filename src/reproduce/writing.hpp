#pragma once

// Sections as rows of results, and cells of tables.

#include "measure_trace.hpp"
#include "ratios.hpp"

#include <nlohmann/json.hpp>

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace pkv::reproduce {

/// The members that every row of results has.
[[nodiscard]] nlohmann::ordered_json row_of(std::string_view section, std::string_view workload,
                                            const AttentionShape& shape, const RouteSpec& spec);

/// A row for each route of each run that ran, and a summary for each route over the runs, which differ in their seed.
void write_traces(std::string_view section, std::span<const TraceTimes> traces, nlohmann::ordered_json& results);

[[nodiscard]] std::string cell(double value, int digits);
/// "1.471 +- 0.037", without the second where it is 0; "-" for nothing.
[[nodiscard]] std::string cell(const std::optional<MeanStd>& value);
/// The mean over the runs of one of a route's times.
[[nodiscard]] double mean_us(std::span<const TraceTimes> traces, std::size_t route, Clock clock);

/// "trace | route | us | over FlashInfer ..." in the fair windows.
[[nodiscard]] std::string fair_table(std::span<const std::vector<TraceTimes>> workloads);
/// The same as the paper timed, beside what it published for the section.
[[nodiscard]] std::string paper_table(std::string_view section, std::span<const std::vector<TraceTimes>> workloads);

}  // namespace pkv::reproduce
