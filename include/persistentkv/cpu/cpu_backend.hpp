#pragma once

/// Decode attention on plain CPUs: the same plans, run by a thread pool with portable SIMD.

#include "persistentkv/engine/backend.hpp"

#include <memory>
#include <string>
#include <vector>

namespace pkv {

struct CpuBackendConfig {
  int num_threads = 0;      ///< 0, or more than there are: every hardware thread this process may use
  std::string simd_target;  ///< one of cpu_simd_targets(), to study or test it; empty: the best one
};

/// A backend that executes any valid plan with FP32 accumulation. Workers of a launch are handed to the pool's threads;
/// a merge of a kDecodeMerge launch is done by the thread that finishes the last of its partials, and nobody waits.
/// Shapes: any group size, head_dim a multiple of 16 up to 512, any page size, fp16, bf16 and fp32.
[[nodiscard]] std::unique_ptr<Backend> make_cpu_backend(const CpuBackendConfig& config = {});

/// The instruction set that the SIMD dispatcher has chosen on this machine, e.g. "AVX3_DL".
[[nodiscard]] std::string cpu_simd_target();

/// Every instruction set that was compiled and that this machine has, best first.
[[nodiscard]] std::vector<std::string> cpu_simd_targets();

}  // namespace pkv
