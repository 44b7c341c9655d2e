#pragma once

// Kernels that only the benchmark needs: random numbers, readers, and a plain FP32 attention to compare with.

#include "persistentkv/core/dtype.hpp"

#include <cuda_runtime_api.h>

#include <cstdint>

namespace pkv::cuda_bench {

/// Normal deviates of about unit variance; 16-bit types.
void fill_normal(void* data, DType dtype, std::int64_t elements, std::uint32_t seed, cudaStream_t stream);

/// A kernel of one warp that does nothing.
void do_nothing(cudaStream_t stream);

/// Pages to be read whole: K and V, each page `page_bytes` (a multiple of 16) in one piece.
struct PageList {
  const void* k = nullptr;
  const void* v = nullptr;
  const std::int32_t* pages = nullptr;  // [count], on the device
  std::int32_t count = 0;
  std::int64_t page_bytes = 0;
};

/// Reads them with plain loads, CTAs taking pages in turn; many small CTAs.
void read_by_pages(const PageList& list, int num_sms, cudaStream_t stream);

/// Reads them through cp.async rings, a contiguous share for each warp of one CTA an SM: the shape of `stream`, without
/// its work. page_bytes must be a multiple of 4096.
void read_by_rings(const PageList& list, int num_sms, cudaStream_t stream);

/// Attention in FP32 by one pass over dense HND pages: a CTA for each row and query head.
struct PlainAttention {
  const void* q = nullptr;  // [batch, num_q_heads, head_dim]
  const void* k = nullptr;  // [pages, num_kv_heads, page_size, head_dim]
  const void* v = nullptr;
  const std::int32_t* lengths = nullptr;  // [batch]
  const std::int32_t* table = nullptr;    // [batch, table_stride]
  std::int64_t table_stride = 0;
  int batch = 0, num_q_heads = 0, num_kv_heads = 0, head_dim = 0, page_size = 0;
  float scale = 1.0f;
  DType dtype = DType::kF16;
};
/// out: [batch, num_q_heads, head_dim], FP32
void attend_plainly(const PlainAttention& problem, float* out, cudaStream_t stream);

/// Adds to sums[0] and sums[1] the squares of differences and of the expected values; NaN counts as 1e18.
void compare(const void* actual, DType dtype, const float* expected, std::int64_t elements, float* sums,
             cudaStream_t stream);

}  // namespace pkv::cuda_bench
