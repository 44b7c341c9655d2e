#pragma once

// What a result was measured on, and by what.

#include <nlohmann/json.hpp>

#include <string>

namespace pkv::report {

/// CPU, memory, system, compiler, versions, commit and date; "gpu" is null where no NVIDIA driver answers.
[[nodiscard]] nlohmann::ordered_json describe_machine();

/// Toolkit and architectures of this build, as "CUDA 13.0.88 for 90a-real"; empty in a build without CUDA.
[[nodiscard]] std::string cuda_build();

/// The first NVIDIA GPU as its driver describes it, or null. Asks the driver's own library, so that it needs no
/// toolkit.
[[nodiscard]] nlohmann::ordered_json describe_gpu();

}  // namespace pkv::report
