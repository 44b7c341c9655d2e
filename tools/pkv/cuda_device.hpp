#pragma once

namespace pkv::cli {

/// What serves `stream` best on GPUs, where the user says nothing.
inline constexpr int kCudaStreamTileTokens = 16;

/// Throws Unsupported where this build has no CUDA, or finds no device on this machine; the message says what to do.
void require_cuda_device();

}  // namespace pkv::cli
