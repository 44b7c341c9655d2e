#include "plain_columns.hpp"

#include "byte_file.hpp"

#include <fmt/format.h>

namespace pkv::detail {

PlainChoice choose_plain_columns(const std::string& path, std::int64_t line, const PlainPresence& present) {
  const auto choose = [&](int first, int count) {
    int chosen = -1;
    for (int column = first; column < first + count; ++column) {
      if (!present[static_cast<std::size_t>(column)]) continue;
      if (chosen >= 0) {
        fail_at(path, line,
                fmt::format("has both {} and {}, must have one of them", kPlainColumns[chosen], kPlainColumns[column]));
      }
      chosen = column;
    }
    return chosen;
  };
  PlainChoice choice;
  choice.prompt = choose(kPromptLen, 2);
  if (choice.prompt < 0) fail_at(path, line, "column prompt_len (or prompt) is missing");
  choice.decode = choose(kDecodeLen, 2);
  if (choice.decode < 0) fail_at(path, line, "column decode_len (or decode) is missing");
  choice.arrival = choose(kArrival, 3);
  return choice;
}

}  // namespace pkv::detail
