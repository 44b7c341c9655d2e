#pragma once

// A kernel that stands for whatever writes new tokens into the cache ahead of attention.

#include <cuda_runtime_api.h>

#include <cstdint>

namespace pkv::testing {

struct AppendParams {
  char* to[2];                  // K and V pools
  const char* from[2];          // as large as the pools
  const std::int64_t* offsets;  // of vectors, in bytes
  int count;
  int vector_bytes;
  int delay_ns;
};

/// Lets the kernel behind it begin at once, waits, and only then copies the vectors.
void launch_late_append(const AppendParams& params, cudaStream_t stream);

/// Makes the same vectors NaN.
void launch_forget(const AppendParams& params, cudaStream_t stream);

}  // namespace pkv::testing
