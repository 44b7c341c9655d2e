#include "prefill.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <cmath>

namespace pkv::serving {

std::string_view to_string(PrefillRule rule) noexcept {
  switch (rule) {
    case PrefillRule::kSeparate:
      return "separate";
    case PrefillRule::kInline:
      return "inline";
    case PrefillRule::kNone:
      break;
  }
  return "none";
}

PrefillRule parse_prefill_rule(std::string_view text) {
  for (const PrefillRule rule : {PrefillRule::kSeparate, PrefillRule::kInline, PrefillRule::kNone})
    if (to_string(rule) == text) return rule;
  throw InvalidArgument(fmt::format("prefill is '{}', must be separate, inline or none", text));
}

std::string Prefill::describe() const {
  switch (rule) {
    case PrefillRule::kSeparate:
      return fmt::format("prompts are processed by other GPUs, each at {:.0f} tokens/s, and delay nobody else",
                         tokens_per_s);
    case PrefillRule::kInline:
      return fmt::format("prompts are processed here at {:.0f} tokens/s, ahead of the step that they join: all wait",
                         tokens_per_s);
    case PrefillRule::kNone:
      break;
  }
  return "prompts take no time";
}

void Prefill::validate() const {
  if (!std::isfinite(tokens_per_s) || tokens_per_s <= 0.0)
    throw InvalidArgument(fmt::format("prefill tokens_per_s is {}, must be finite and > 0", tokens_per_s));
}

}  // namespace pkv::serving
