#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace pkv::cuda_reproduce {

/// to[i] = from[ids[i]]; rows of `row_bytes`, a multiple of 16. `ids` on the device, [rows].
void gather_rows(const void* from, const std::int32_t* ids, void* to, int rows, std::int64_t row_bytes,
                 cudaStream_t stream);
/// to[ids[i]] = from[i]
void scatter_rows(const void* from, const std::int32_t* ids, void* to, int rows, std::int64_t row_bytes,
                  cudaStream_t stream);

}  // namespace pkv::cuda_reproduce
