#pragma once

/// Suites of ragged decode steps, for benchmarks to run one workload after the other.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pkv {

/// One decode step, by what its rows attend.
struct Workload {
  std::string name;
  std::vector<std::int32_t> lengths;  ///< [batch] tokens

  friend bool operator==(const Workload&, const Workload&) = default;
};

/// Reads one JSON object, {"name": [tokens of each row, ...], ...}, into workloads in the order of the text. Each has
/// [1, kMaxBatch] rows of [0, kMaxRowTokens] tokens, one of them at least not empty, and a name of [1, 100] bytes that
/// is given once. Throws IoError, "source:line: ...", naming key, value and bound; `source` is a file's name, say.
[[nodiscard]] std::vector<Workload> parse_suite(std::string_view json, const std::string& source);

/// parse_suite of a built-in suite or, where the name has a '/' or ends in ".json", of a file of at most 16 MiB. Throws
/// InvalidArgument for a name that is neither, and IoError.
[[nodiscard]] std::vector<Workload> load_suite(std::string_view name_or_file);

/// The names of the suites that every build carries, those of suites/ in the source tree:
/// - decode: single rows of 1K to 128K tokens, and mixtures of up to 256 rows that are uniform, skewed or mostly short;
/// - hpc-ops-skewed: the steps that Tencent's hpc-ops times its dynamic split on (those of one query token);
/// - paper: the first step of each run of the PersistentKV study, seed 20260623.
[[nodiscard]] std::vector<std::string_view> built_in_suites();

}  // namespace pkv
