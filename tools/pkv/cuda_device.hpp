#pragma once

#include "persistentkv/engine/backend.hpp"

#include <memory>

namespace pkv::cli {

/// What serves `stream` best on GPUs, where the user says nothing.
inline constexpr int kCudaStreamTileTokens = 16;

/// Throws Unsupported where this build has no CUDA, or finds no device on this machine; the message says what to do,
/// and ends with `otherwise` where there is no GPU.
void require_cuda_device(const char* otherwise = "; use --backend cpu");

/// The engine on the current device. Throws as require_cuda_device() and make_cuda_backend() do.
[[nodiscard]] std::unique_ptr<Backend> make_cuda_engine();

}  // namespace pkv::cli
