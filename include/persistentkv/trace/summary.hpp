#pragma once

/// What a trace is like.

#include "persistentkv/trace/request.hpp"

#include <cstdint>

namespace pkv {

/// Of one token count over all requests; all zero where there are none.
struct TokenStatistics {
  std::int64_t min = 0;
  double mean = 0.0;
  std::int64_t p50 = 0;  ///< nearest rank: the smallest value that at least half of the requests do not exceed
  std::int64_t p95 = 0;
  std::int64_t max = 0;
};

struct TraceSummary {
  std::int64_t requests = 0;
  std::int64_t skipped_rows = 0;  ///< with nothing to decode
  TokenStatistics prompt_tokens;
  TokenStatistics decode_tokens;
  ArrivalUnit arrival_unit = ArrivalUnit::kSteps;
  std::int64_t duration = 0;  ///< from the first arrival to the last, in arrival_unit
  /// Requests after the first per duration, in 1 / arrival_unit; 0 where all arrive at once.
  double arrival_rate = 0.0;
  /// Share of all prompt tokens that lie in full prefix blocks seen before in the trace: what sharing could save.
  double shared_prefix_fraction = 0.0;
};

/// Reads the source to its end, in one pass: 8 bytes a request, and the set of prefix block ids. Throws what next()
/// throws.
[[nodiscard]] TraceSummary summarize_trace(RequestSource& source);

}  // namespace pkv
