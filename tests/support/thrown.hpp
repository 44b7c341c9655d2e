#pragma once

// What a call complains about.

#include "persistentkv/core/error.hpp"

#include <string>
#include <utility>

namespace pkv::testing_support {

/// The message of the ErrorType that `call` throws, or "nothing was thrown". Other exceptions pass through.
template <class ErrorType = InvalidArgument, class Call>
[[nodiscard]] std::string thrown_by(Call&& call) {
  try {
    std::forward<Call>(call)();
  } catch (const ErrorType& error) {
    return error.what();
  }
  return "nothing was thrown";
}

}  // namespace pkv::testing_support
