#pragma once

// What a layer may ask for and FlashInfer does not do: rows through ids, strided outputs, FP32 outputs, LSE in base e,
// and the results of rows that attend nothing. 16-bit types, head_dim a multiple of 8, all 16-byte aligned.

#include "persistentkv/core/dtype.hpp"

#include <cuda_runtime_api.h>

#include <cstdint>

namespace pkv::fi {

/// Bits of an error word.
inline constexpr unsigned kRowIdOutOfRange = 1;

/// Rows somewhere; strides in elements.
struct Rows {
  void* data = nullptr;
  std::int64_t row_stride = 0;
  std::int64_t head_stride = 0;
  std::int64_t num_rows = 0;
  const void* ids = nullptr;  // [batch], or null
  bool ids_are_64_bit = false;
};

struct DenseShape {
  int batch = 0;
  int num_heads = 0;
  int head_dim = 0;
};

/// to: dense [batch, num_heads, head_dim]. An id out of range reads row 0, and sets a bit of `errors`.
void gather(const Rows& from, const DenseShape& shape, void* to, unsigned* errors, cudaStream_t stream);

struct FinishRequest {
  DenseShape shape;
  DType dtype = DType::kF16;
  const void* dense_out = nullptr;             // [batch, num_heads, head_dim]; null: out is there already
  const float* dense_lse = nullptr;            // [batch, num_heads], base 2
  const std::int32_t* page_offsets = nullptr;  // [batch + 1]: a row without pages attends nothing
  Rows out;                                    // whose rows LSE has too
  bool out_is_f32 = false;
  float* lse = nullptr;  // null: not wanted, or there already
  std::int64_t lse_row_stride = 0;
  std::int64_t lse_head_stride = 0;
  float lse_factor = 1.0F;  // from base 2
  unsigned* errors = nullptr;
};

/// Writes nothing for an id out of range, but sets a bit of `errors`.
void finish(const FinishRequest& request, cudaStream_t stream);

}  // namespace pkv::fi
