#pragma once

#include "persistentkv/engine/backend.hpp"

#include <memory>
#include <string_view>
#include <vector>

namespace pkv::cli {

/// What serves `stream` best on GPUs, where the user says nothing.
inline constexpr int kCudaStreamTileTokens = 16;

/// Throws Unsupported where this build has no CUDA, or finds no device on this machine; the message says what to do,
/// and ends with `otherwise` where there is no GPU.
void require_cuda_device(const char* otherwise = "; use --backend cpu");

/// The engine on the current device. Throws as require_cuda_device() and make_cuda_backend() do.
[[nodiscard]] std::unique_ptr<Backend> make_cuda_engine();

/// Whoever else has routes on the current device: FlashInfer's paths, where this build has them. Throws as
/// make_cuda_engine() does.
[[nodiscard]] std::vector<std::shared_ptr<Backend>> make_more_cuda_engines();

/// FlashInfer's release, empty where this build has none.
[[nodiscard]] std::string_view flashinfer_build() noexcept;

}  // namespace pkv::cli
