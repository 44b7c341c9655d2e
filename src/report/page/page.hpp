#pragma once

// Results as one HTML page: tables, and plots that Vega draws from them. Nothing in it is fetched from anywhere.

#include "results_file.hpp"

#include <string>
#include <vector>

namespace pkv::report {

/// Throws IoError for rows without the members that tables and plots need, Unsupported in a build without Vega.
[[nodiscard]] std::string results_page(const std::vector<ResultsFile>& files);

}  // namespace pkv::report
