#pragma once

// Serving runs for people and for programs.

#include "serving/serve.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace pkv::cli {

/// What the results alone do not tell.
struct ServingContext {
  const serving::ServingOptions& options;
  std::string backend;              ///< who ran steps
  std::string cache_state;          ///< how the caches were before each
  std::string sampling;             ///< empty: every step was run
  std::vector<std::string> clocks;  ///< [results] how long steps lasted
};

/// Runs of one workload must follow one another.
[[nodiscard]] std::string serving_text(const std::vector<serving::ServingResult>& results,
                                       const ServingContext& context);
[[nodiscard]] nlohmann::ordered_json serving_json(const std::vector<serving::ServingResult>& results,
                                                  const ServingContext& context);

}  // namespace pkv::cli
