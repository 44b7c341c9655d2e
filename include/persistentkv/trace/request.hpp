#pragma once

/// One request of a workload, and where requests come from.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace pkv {

/// What `Request::arrival` counts.
enum class ArrivalUnit : std::uint8_t {
  kSteps,         ///< decode steps, as in the paper's families and in plain files
  kMicroseconds,  ///< since the first request of the trace
};

/// A request decodes `decode_tokens` steps; its step k, counted from 0, attends prompt_tokens + k tokens.
struct Request {
  std::int64_t prompt_tokens = 0;  ///< >= 1
  std::int64_t decode_tokens = 0;  ///< >= 1
  std::int64_t arrival = 0;        ///< in the source's unit, >= 0
  /// Ids of the prompt's consecutive blocks of kPrefixBlockTokens tokens, or empty: equal ids hold equal tokens after
  /// equal prefixes, so their KV may be shared. The last block may be partial, and is then never shared.
  std::vector<std::int64_t> prefix_block_ids;
};

/// Tokens of a prefix block in Mooncake's traces.
inline constexpr std::int64_t kPrefixBlockTokens = 512;

/// The latest arrival accepted, in steps or microseconds (285 years): clocks that start there never overflow.
inline constexpr std::int64_t kMaxArrival = std::int64_t{1} << 53;

/// Throws InvalidArgument, naming the first request that is out of bounds: prompt or decode below 1, prompt + decode
/// above kMaxRowTokens, an arrival outside [0, kMaxArrival].
void validate_requests(std::span<const Request> requests);

/// Requests one by one, in order of arrival, so that a long trace is never in memory as a whole.
class RequestSource {
 public:
  virtual ~RequestSource() = default;
  RequestSource(const RequestSource&) = delete;
  RequestSource& operator=(const RequestSource&) = delete;

  /// False at the end. Reuses `request`'s storage. Throws IoError.
  [[nodiscard]] virtual bool next(Request& request) = 0;
  [[nodiscard]] virtual ArrivalUnit arrival_unit() const noexcept = 0;
  /// For people and JSON: the family and seed, or the file and its format.
  [[nodiscard]] virtual std::string name() const = 0;
  /// Rows that had nothing to decode (decode_tokens 0, or an empty prompt), so far.
  [[nodiscard]] virtual std::int64_t skipped_rows() const noexcept = 0;

 protected:
  RequestSource() = default;
};

}  // namespace pkv
