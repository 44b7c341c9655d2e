#pragma once

// What each instantiation of FlashInfer's templates offers to the rest of the module, which sees none of its headers.

#include "persistentkv/core/dtype.hpp"
#include "persistentkv/plan/route.hpp"

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace pkv::fi {

/// A step as FlashInfer's planners take it. They read host memory, and copy their plan to the device through pinned
/// memory, which must not be written again before that copy is over.
struct PlanRequest {
  std::int32_t* page_offsets = nullptr;  // [batch + 1] on the host: pages of the rows before
  std::int32_t* row_offsets = nullptr;   // [batch + 1] on the host: 0, 1, ..., batch
  int batch = 0;                         // >= 1
  int num_q_heads = 0;
  int num_kv_heads = 0;
  int page_size = 0;
  void* floats = nullptr;  // partial results, on the device
  std::size_t floats_bytes = 0;
  void* ints = nullptr;         // the plan, on the device
  void* pinned_ints = nullptr;  // as large, on the host
  std::size_t ints_bytes = 0;
  cudaStream_t stream = nullptr;
};

/// What a planner decided; offsets are bytes into `ints` and `floats`.
struct Cut {
  std::int64_t work_items = 0;  // CTAs for each KV head
  int tile_q = 0;               // tensor cores: rows of Q in a CTA
  bool split = false;           // partial results, and a second kernel that merges
  std::int64_t request_indices = 0;
  std::int64_t q_tile_indices = 0;
  std::int64_t kv_tile_indices = 0;
  std::int64_t out_offsets = 0;
  std::int64_t merge_offsets = 0;
  std::int64_t chunk_tokens = 0;
  std::int64_t partial_out = 0;
  std::int64_t partial_lse = 0;
};

/// One layer; everything on the device, strides in elements.
struct RunRequest {
  int batch = 0;
  int num_q_heads = 0;
  int num_kv_heads = 0;
  int page_size = 0;
  float softmax_scale = 0.0F;
  const void* q = nullptr;  // [batch, num_q_heads, head_dim], strided
  std::int32_t q_row_stride = 0;
  std::int32_t q_head_stride = 0;
  const void* k = nullptr;  // [pages, page_size, num_kv_heads, head_dim], strided, K and V alike
  const void* v = nullptr;
  std::uint32_t page_stride = 0;
  std::uint32_t token_stride = 0;
  std::uint32_t head_stride = 0;
  std::int32_t* pages = nullptr;             // [page_offsets[batch]]
  std::int32_t* page_offsets = nullptr;      // [batch + 1]
  std::int32_t* last_page_tokens = nullptr;  // [batch]
  std::int32_t* row_offsets = nullptr;       // [batch + 1]
  unsigned char* ints = nullptr;
  unsigned char* floats = nullptr;
  void* out = nullptr;   // [batch, num_q_heads, head_dim], dense
  float* lse = nullptr;  // [batch, num_q_heads], dense, base 2; may be null
  bool dependent = false;
  cudaStream_t stream = nullptr;
};

/// A path of FlashInfer's for one dtype and head_dim, on the current device. Both throw CudaError, and Unsupported for
/// what FlashInfer itself refuses.
struct Path {
  void (*plan)(const PlanRequest& request, Cut& cut);
  void (*run)(const RunRequest& request, const Cut& cut);  // never allocates or waits
};

/// Null where there is none. Defined by what CMake generates from instantiations/.
[[nodiscard]] const Path* find_path(Route route, DType dtype, int head_dim) noexcept;

/// Group sizes that the CUDA-core path is compiled for.
inline constexpr int kCudaCoreGroups[] = {1, 2, 3, 4, 6, 8, 16};
/// Rows of Q that a CTA of the tensor-core path can hold here, and so its largest group.
inline constexpr int kTensorCoreMaxTileQ = 64;
inline constexpr int kHeadDims[] = {64, 128, 256};

}  // namespace pkv::fi
