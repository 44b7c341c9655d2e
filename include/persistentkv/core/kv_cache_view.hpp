#pragma once

/// Strided views of one layer's paged KV cache. K and V are described separately, so that HND, NHD and every packing
/// of K and V in one allocation are the same code.

#include "persistentkv/core/attention_shape.hpp"
#include "persistentkv/core/dtype.hpp"

#include <cstdint>

namespace pkv {

/// One of K and V. Element (page, token, head, i) stands at
/// data[page * page_stride + token * token_stride + head * head_stride + i]; strides are in elements.
struct PagedTensorView {
  const void* data = nullptr;     // [num_pages, page_size, num_kv_heads, head_dim], strided
  std::int64_t page_stride = 0;   ///< may be larger than a page
  std::int64_t token_stride = 0;  ///< >= head_dim, unless page_size is 1
  std::int64_t head_stride = 0;   ///< >= head_dim; ignored when there is one KV head
};

/// How the common layouts are named. P = page_size, H = num_kv_heads, D = head_dim.
enum class KvLayout : std::uint8_t {
  kHND,          ///< K and V apart, each [page, H, P, D]
  kNHD,          ///< K and V apart, each [page, P, H, D]
  kPackedPage,   ///< one tensor [page, 2, P, H, D]: K's half of the page, then V's
  kPackedToken,  ///< one tensor [page, P, H, 2 * D]: K and V of a token and head side by side
};

/// The paged KV cache of one layer.
struct KvCacheView {
  DType dtype = DType::kF16;
  int page_size = 16;          ///< tokens of a page, >= 1
  std::int64_t num_pages = 0;  ///< physical pages behind both views: page ids lie in [0, num_pages)
  PagedTensorView k;
  PagedTensorView v;

  /// Elements that K and V together take in `layout`; for the packed layouts all of them are behind one pointer.
  [[nodiscard]] static std::int64_t num_elements(const AttentionShape& shape, int page_size, std::int64_t num_pages);

  /// A view of dense pages in a named layout. `v_data` is ignored by the packed layouts. Throws as validate() does.
  [[nodiscard]] static KvCacheView dense(KvLayout layout, const AttentionShape& shape, DType dtype, int page_size,
                                         std::int64_t num_pages, const void* k_data, const void* v_data);

  /// Throws InvalidArgument: null data, page_size or num_pages out of bounds, strides that overlap or overflow,
  /// data not aligned to its element.
  void validate(const AttentionShape& shape) const;
};

}  // namespace pkv
