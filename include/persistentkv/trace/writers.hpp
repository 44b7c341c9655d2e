#pragma once

/// Any source of requests, written in a plain format that open_trace() reads back.

#include "persistentkv/trace/request.hpp"

#include <cstdint>
#include <string>

namespace pkv {

struct TraceWriteReport {
  std::int64_t requests = 0;
  /// Requests whose prefix_block_ids the format could not hold (CSV).
  std::int64_t dropped_prefixes = 0;
};

/// Writes prompt_len, decode_len and arrival (or arrival_us, by the source's unit) to a temporary file beside `path`,
/// which takes its name when all is written: on an error `path` is as it was. Throws IoError, and what next() throws.
TraceWriteReport write_trace_csv(RequestSource& source, const std::string& path);

/// The same as a JSON list, one object a line, prefix_block_ids included where there are any.
TraceWriteReport write_trace_json(RequestSource& source, const std::string& path);

}  // namespace pkv
