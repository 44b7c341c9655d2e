#pragma once

/// Traces in files, read as they are needed: memory does not grow with the file.

#include "persistentkv/trace/request.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pkv {

/// Columns may stand in any order and others beside them are ignored. Token counts are integers of at most
/// kMaxRowTokens; arrivals and timestamps must not go back from one row to the next.
enum class TraceFormat : std::uint8_t {
  kAuto,       ///< told from the content: the header line of a CSV file, the first character of JSON
  kPlainCsv,   ///< prompt_len (or prompt), decode_len (or decode), and, optional, arrival (or arrival_step, in steps;
               ///< the default is the row's index from 0) or arrival_us (microseconds)
  kPlainJson,  ///< a list of objects with the same members, and, optional, prefix_block_ids
  kAzure,      ///< TIMESTAMP, ContextTokens, GeneratedTokens (Azure LLM inference traces, 2023 and 2024). A timestamp
               ///< without a zone counts as UTC.
  kBurstGpt,   ///< Timestamp (seconds), Request tokens, Response tokens
  kMooncake,   ///< an object a line: timestamp (ms), input_length, output_length, hash_ids (one for each block of
               ///< kPrefixBlockTokens tokens begun)
};

/// "auto", "csv", "json", "azure", "burstgpt" or "mooncake".
[[nodiscard]] std::string_view to_string(TraceFormat format) noexcept;

/// The inverse of to_string. Throws InvalidArgument for any other text.
[[nodiscard]] TraceFormat parse_trace_format(std::string_view text);

/// Opens a trace. UTF-8 with or without a byte order mark, LF or CRLF, with or without an end of line at the end; lines
/// and JSON objects of up to 16 MiB. Timestamps become microseconds since the first request. Throws IoError here
/// (no file, no known format, missing or repeated columns) and in next() (a bad row), its message naming file, line,
/// column, value and bound.
[[nodiscard]] std::unique_ptr<RequestSource> open_trace(const std::string& path,
                                                        TraceFormat format = TraceFormat::kAuto);

/// The next requests of a source, `limit` at most. Throws what next() throws.
[[nodiscard]] std::vector<Request> read_requests(RequestSource& source, std::int64_t limit = INT64_MAX);

}  // namespace pkv
