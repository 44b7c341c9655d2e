#include "persistentkv/core/kv_cache_view.hpp"

#include "strides.hpp"

#include <array>

namespace pkv {

namespace {

constexpr std::int64_t kMaxPages = std::int64_t{1} << 40;

void check_extents(const AttentionShape& shape, int page_size, std::int64_t num_pages) {
  shape.validate();
  detail::require_in_range("page_size", page_size, 1, 1 << 20);
  detail::require_in_range("num_pages", num_pages, 1, kMaxPages);
}

void validate_tensor(std::string_view name, const PagedTensorView& tensor, const KvCacheView& kv,
                     const AttentionShape& shape) {
  detail::require_data({name, "data"}, tensor.data, kv.dtype);
  std::array dims{detail::Dim{"page_stride", kv.num_pages, tensor.page_stride},
                  detail::Dim{"token_stride", kv.page_size, tensor.token_stride},
                  detail::Dim{"head_stride", shape.num_kv_heads, tensor.head_stride}};
  detail::require_distinct_elements(name, dims, shape.head_dim);
}

}  // namespace

std::int64_t KvCacheView::num_elements(const AttentionShape& shape, int page_size, std::int64_t num_pages) {
  check_extents(shape, page_size, num_pages);
  const std::int64_t token = 2 * std::int64_t{shape.num_kv_heads} * shape.head_dim;
  return detail::checked_multiply_add("num_pages", num_pages, token * page_size, 0);
}

KvCacheView KvCacheView::dense(KvLayout layout, const AttentionShape& shape, DType dtype, int page_size,
                               std::int64_t num_pages, const void* k_data, const void* v_data) {
  check_extents(shape, page_size, num_pages);
  const std::int64_t p = page_size;
  const std::int64_t h = shape.num_kv_heads;
  const std::int64_t d = shape.head_dim;
  const auto offset = [&](std::int64_t elements) -> const void* {
    return k_data == nullptr ? nullptr : static_cast<const char*>(k_data) + elements * size_bytes(dtype);
  };

  KvCacheView kv{.dtype = dtype, .page_size = page_size, .num_pages = num_pages, .k = {}, .v = {}};
  switch (layout) {
    case KvLayout::kHND:
      kv.k = {k_data, h * p * d, d, p * d};
      kv.v = {v_data, h * p * d, d, p * d};
      break;
    case KvLayout::kNHD:
      kv.k = {k_data, p * h * d, h * d, d};
      kv.v = {v_data, p * h * d, h * d, d};
      break;
    case KvLayout::kPackedPage:
      kv.k = {k_data, 2 * p * h * d, h * d, d};
      kv.v = {offset(p * h * d), 2 * p * h * d, h * d, d};
      break;
    case KvLayout::kPackedToken:
      kv.k = {k_data, 2 * p * h * d, 2 * h * d, 2 * d};
      kv.v = {offset(d), 2 * p * h * d, 2 * h * d, 2 * d};
      break;
  }
  kv.validate(shape);
  return kv;
}

void KvCacheView::validate(const AttentionShape& shape) const {
  check_extents(shape, page_size, num_pages);
  validate_tensor("k", k, *this, shape);
  validate_tensor("v", v, *this, shape);
}

}  // namespace pkv
