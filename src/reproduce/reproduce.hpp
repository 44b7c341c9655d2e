#pragma once

// All tables of the study, section by section.

#include "bench.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace pkv::reproduce {

struct Output;

/// One that is measured by other means than a Bench, after all others.
struct MoreSection {
  std::string name;
  std::function<void(Output& output)> run;
};

struct ReproduceOptions {
  std::vector<std::string> only = {};  ///< sections; empty: all
  bool quick = false;                  ///< one seed, an eighth of the steps, fewer windows: that it works, not how fast
  int repeats = 7;                     ///< windows a step and route, of which the median counts; at least 1
  std::vector<MoreSection> more = {};
};

/// What a section writes to.
struct Output {
  nlohmann::ordered_json results;                 ///< report::make_results("reproduce")
  std::function<void(const std::string&)> print;  ///< a section's tables
  std::vector<std::string> problems;              ///< what is not as it must be: errors, golden values
};

/// "main", "counters", ...: in their order, without those in `more`.
[[nodiscard]] std::vector<std::string_view> section_names();

/// Bytes of KV pages that the sections need at once. Throws InvalidArgument for an unknown name or bad options.
[[nodiscard]] std::int64_t kv_bytes_needed(const ReproduceOptions& options);

/// A section that cannot run here (Unsupported) says why, and the others go on.
void reproduce(const ReproduceOptions& options, Bench& bench, Output& output);

}  // namespace pkv::reproduce
