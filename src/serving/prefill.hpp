#pragma once

// Who processes prompts, and how long it takes: a rule, since this project runs decode alone.

#include <cstdint>
#include <string>
#include <string_view>

namespace pkv::serving {

enum class PrefillRule : std::uint8_t {
  kSeparate,  ///< other GPUs, as many as it takes: a request can be decoded prompt / rate after it arrived, and nobody
              ///< else waits for it
  kInline,    ///< this GPU, ahead of the step that the request joins: everybody waits prompt / rate, less the tokens
              ///< found in shared pages
  kNone,      ///< prompts take no time
};

/// "separate", "inline" or "none".
[[nodiscard]] std::string_view to_string(PrefillRule rule) noexcept;
/// The inverse of to_string. Throws InvalidArgument for any other text.
[[nodiscard]] PrefillRule parse_prefill_rule(std::string_view text);

struct Prefill {
  PrefillRule rule = PrefillRule::kSeparate;
  double tokens_per_s = 20000.0;

  /// For `prompt_tokens` that are nowhere yet.
  [[nodiscard]] double us(std::int64_t prompt_tokens) const noexcept {
    return static_cast<double>(prompt_tokens) / tokens_per_s * 1e6;
  }
  /// One sentence.
  [[nodiscard]] std::string describe() const;
  /// Throws InvalidArgument unless the rate is finite and above 0.
  void validate() const;
};

}  // namespace pkv::serving
