#pragma once

// The columns of the plain formats and their other names.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace pkv::detail {

enum PlainColumn : int { kPromptLen, kPrompt, kDecodeLen, kDecode, kArrival, kArrivalStep, kArrivalUs };

inline constexpr std::array<const char*, 7> kPlainColumns = {"prompt_len", "prompt",       "decode_len", "decode",
                                                             "arrival",    "arrival_step", "arrival_us"};
using PlainPresence = std::array<bool, kPlainColumns.size()>;

/// Which of its names each quantity goes by.
struct PlainChoice {
  int prompt = kPromptLen;
  int decode = kDecodeLen;
  int arrival = -1;  // -1: none is there
};

/// Throws IoError: a quantity is missing or goes by two names at once.
[[nodiscard]] PlainChoice choose_plain_columns(const std::string& path, std::int64_t line,
                                               const PlainPresence& present);

}  // namespace pkv::detail
