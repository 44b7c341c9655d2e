#pragma once

#include "persistentkv/policy/router.hpp"

#include <string>

namespace pkv::cli {

/// The decision on `input`, of the routes that a backend of this machine has: "cpu" or "cuda". Throws Unsupported where
/// there is no such backend here, or it serves no step like this.
[[nodiscard]] Decision explain_with_backend(const std::string& backend, const DeviceProfile& profile,
                                            const PolicyInput& input, int page_size);

}  // namespace pkv::cli
