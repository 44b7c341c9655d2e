#include "persistentkv/core/layer.hpp"

#include "strides.hpp"

#include <array>

namespace pkv {

namespace {

/// q and out are addressed alike.
template <class View>
void validate_rows(std::string_view name, const View& view, const Step& step) {
  detail::require_data({name, "data"}, view.data, view.dtype);
  detail::require_in_range({name, "num_rows"}, view.num_rows, view.row_ids ? 1 : step.batch, std::int64_t{1} << 40);
  std::array dims{detail::Dim{"row_stride", view.num_rows, view.row_stride},
                  detail::Dim{"head_stride", step.shape.num_q_heads, view.head_stride}};
  detail::require_distinct_elements(name, dims, step.shape.head_dim);

  if (!view.row_ids) return;
  if (view.row_ids.size < step.batch) {
    throw InvalidArgument(
        fmt::format("{}.row_ids has {} entries, must have batch = {}", name, view.row_ids.size, step.batch));
  }
  if (view.row_ids.space != MemorySpace::kHost) return;
  for (std::int64_t row = 0; row < step.batch; ++row) {
    const std::int64_t id = view.row_ids.at(row);
    if (id < 0 || id >= view.num_rows) {
      throw InvalidArgument(fmt::format("{}.row_ids[{}] is {}, must be in [0, {})", name, row, id, view.num_rows));
    }
  }
}

}  // namespace

Layer Layer::dense(const Step& step, const KvCacheView& kv, const void* q, void* out) {
  const std::int64_t heads = step.shape.num_q_heads;
  const std::int64_t d = step.shape.head_dim;
  Layer layer;
  layer.kv = kv;
  layer.q = {q, step.dtype, step.batch, heads * d, d, {}};
  layer.out = {out, step.dtype, step.batch, heads * d, d, {}};
  return layer;
}

void Layer::validate(const Step& step) const {
  if (step.batch == 0) return;
  if (kv.dtype != step.dtype || q.dtype != step.dtype) {
    throw InvalidArgument(fmt::format("kv.dtype is {} and q.dtype is {}, both must be the step's, {}",
                                      to_string(kv.dtype), to_string(q.dtype), to_string(step.dtype)));
  }
  if (out.dtype != step.dtype && out.dtype != DType::kF32) {
    throw InvalidArgument(
        fmt::format("out.dtype is {}, must be the step's, {}, or fp32", to_string(out.dtype), to_string(step.dtype)));
  }
  if (kv.page_size != step.page_size)
    throw InvalidArgument(fmt::format("kv.page_size is {}, must be the step's, {}", kv.page_size, step.page_size));
  if (kv.num_pages != step.num_pages)
    throw InvalidArgument(fmt::format("kv.num_pages is {}, must be the step's, {}", kv.num_pages, step.num_pages));
  if (kv.num_pages > 0) kv.validate(step.shape);
  validate_rows("q", q, step);
  validate_rows("out", out, step);
  if (!lse) return;
  detail::require_data("lse.data", lse->data, DType::kF32);
  std::array dims{detail::Dim{"row_stride", out.num_rows, lse->row_stride},
                  detail::Dim{"head_stride", step.shape.num_q_heads, lse->head_stride}};
  detail::require_distinct_elements("lse", dims, 1);
}

}  // namespace pkv
