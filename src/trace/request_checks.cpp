#include "persistentkv/core/error.hpp"
#include "persistentkv/core/step.hpp"
#include "persistentkv/trace/request.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <string_view>

namespace pkv {

namespace {

void require(std::size_t index, std::string_view member, std::int64_t value, std::int64_t low, std::int64_t high) {
  if (value < low || value > high) {
    throw InvalidArgument(fmt::format("requests[{}].{} is {}, must be in [{}, {}]", index, member, value, low, high));
  }
}

}  // namespace

void validate_requests(std::span<const Request> requests) {
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const Request& request = requests[i];
    require(i, "prompt_tokens", request.prompt_tokens, 1, kMaxRowTokens - 1);
    require(i, "decode_tokens", request.decode_tokens, 1, kMaxRowTokens - request.prompt_tokens);
    require(i, "arrival", request.arrival, 0, kMaxArrival);
  }
}

}  // namespace pkv
