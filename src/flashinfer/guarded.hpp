#pragma once

#include "persistentkv/core/error.hpp"

#include <flashinfer/exception.h>

#include <string>

namespace pkv::fi {

/// What FlashInfer throws, as one of our errors.
template <class Call>
void guarded(const Call& call) {
  try {
    call();
  } catch (const ::flashinfer::Error& error) {
    throw Unsupported(std::string("FlashInfer: ") + error.what());
  }
}

}  // namespace pkv::fi
