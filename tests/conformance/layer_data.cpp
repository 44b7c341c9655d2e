#include "conformance/problem.hpp"
#include "conformance/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

namespace pkv::conformance {

namespace {

constexpr std::byte kPoison{0xff};  // a NaN in every dtype

/// Row ids: distinct, out of order, out of `num_rows`.
IndexView make_ids(std::int64_t batch, std::int64_t num_rows, Random& random, Bytes& bytes) {
  std::vector<std::int64_t> ids(static_cast<std::size_t>(num_rows));
  std::iota(ids.begin(), ids.end(), 0);
  random.shuffle(ids);
  bytes.resize(static_cast<std::size_t>(batch) * sizeof(std::int64_t));
  if (batch > 0) std::memcpy(bytes.data(), ids.data(), bytes.size());
  return {bytes.data(), batch, IndexType::kI64, MemorySpace::kHost};
}

/// q or out of a problem: where rows and heads stand, and the poisoned memory behind them.
template <class View>
void make_rows(const ProblemSpec& spec, DType dtype, Random& random, View& view, Bytes& bytes, Bytes& id_bytes) {
  const std::int64_t batch = std::ssize(spec.lengths);
  const std::int64_t heads = spec.shape.num_q_heads;
  const std::int64_t pad = spec.padded ? spec.pad_elements : 0;
  view.dtype = dtype;
  view.num_rows = batch + (spec.row_ids ? 3 : 0);
  const std::int64_t vector = spec.shape.head_dim + pad;
  view.head_stride = spec.heads_first ? view.num_rows * vector + pad : vector;
  view.row_stride = spec.heads_first ? vector : heads * vector + pad;
  const std::int64_t span = std::max(view.num_rows * view.row_stride, heads * view.head_stride) + 2 * pad;
  bytes.assign(static_cast<std::size_t>(span * size_bytes(dtype)), kPoison);
  view.data = bytes.data() + pad * size_bytes(dtype);
  if (spec.row_ids) view.row_ids = make_ids(batch, view.num_rows, random, id_bytes);
}

class LayerFiller {
 public:
  LayerFiller(const ProblemSpec& spec, const Step& step, const Layer& layer, Random& random)
      : spec_(spec), step_(step), layer_(layer), random_(random) {}

  void fill_row(std::int64_t row) const {
    const std::int64_t q_row = layer_.q.row_ids ? layer_.q.row_ids.at(row) : row;
    const float gain = static_cast<float>(spec_.score_scale / (step_.shape.scale() * std::sqrt(head_dim())));
    for (int head = 0; head < step_.shape.num_q_heads; ++head)
      fill(layer_.q.data, q_row * layer_.q.row_stride + head * layer_.q.head_stride, gain);
    for (std::int64_t token = 0; token < step_.lengths.at(row); ++token) {
      for (int head = 0; head < step_.shape.num_kv_heads; ++head) {
        fill(layer_.kv.k.data, element(layer_.kv.k, row, token, head), 1.0f);
        fill(layer_.kv.v.data, element(layer_.kv.v, row, token, head), 1.0f);
      }
    }
  }

  /// Turns the row's queries towards one direction, in which the needle's key lies.
  void place(const Needle& needle) const {
    std::vector<float> direction(static_cast<std::size_t>(step_.shape.head_dim));
    for (float& x : direction) x = random_.chance(0.5) ? 1.0f : -1.0f;
    const std::int64_t q_row = layer_.q.row_ids ? layer_.q.row_ids.at(needle.row) : needle.row;
    for (int head = 0; head < step_.shape.num_q_heads; ++head) {
      const std::int64_t offset = q_row * layer_.q.row_stride + head * layer_.q.head_stride;
      for (std::size_t i = 0; i < direction.size(); ++i)
        put(layer_.q.data, offset + static_cast<std::int64_t>(i), direction[i] + 0.1f * random_.normal());
    }
    // Keys are standard normal, so the others' exponentials sum to about length * exp(variance / 2).
    const double variance = head_dim() * step_.shape.scale() * step_.shape.scale();
    const double others = static_cast<double>(step_.lengths.at(needle.row)) * std::exp(variance / 2);
    const double score = std::log(others * needle.weight / (1.0 - needle.weight));
    const auto gain = static_cast<float>(score / (head_dim() * step_.shape.scale()));
    for (int head = 0; head < step_.shape.num_kv_heads; ++head) {
      const std::int64_t offset = element(layer_.kv.k, needle.row, needle.token, head);
      for (std::size_t i = 0; i < direction.size(); ++i)
        put(layer_.kv.k.data, offset + static_cast<std::int64_t>(i), gain * direction[i]);
    }
  }

 private:
  [[nodiscard]] double head_dim() const { return step_.shape.head_dim; }

  [[nodiscard]] std::int64_t element(const PagedTensorView& tensor, std::int64_t row, std::int64_t token,
                                     int head) const {
    const std::int64_t page = step_.table.page(step_.table.base(row), token / step_.page_size);
    return page * tensor.page_stride + token % step_.page_size * tensor.token_stride + head * tensor.head_stride;
  }
  void put(const void* data, std::int64_t offset, float value) const {
    store_element(const_cast<void*>(data), step_.dtype, offset, value);
  }
  void fill(const void* data, std::int64_t offset, float gain) const {
    for (int i = 0; i < step_.shape.head_dim; ++i) put(data, offset + i, gain * random_.normal());
  }

  const ProblemSpec& spec_;
  const Step& step_;
  const Layer& layer_;
  Random& random_;
};

}  // namespace

LayerData::LayerData(const ProblemSpec& spec, const Step& step, std::uint64_t seed) {
  Random random(seed);
  const std::int64_t size = size_bytes(spec.dtype);
  const std::int64_t pad = spec.padded ? spec.pad_elements : 0;
  const std::int64_t dense = KvCacheView::num_elements(spec.shape, spec.page_size, step.num_pages);
  kv_.assign(static_cast<std::size_t>((dense + 2 * pad * (step.num_pages + 1)) * size), kPoison);
  // K and V apart: V follows K and the gaps between K's pages.
  std::byte* k = kv_.data() + pad * size;
  std::byte* v = k + (dense / 2 + pad * step.num_pages) * size;
  layer_.kv = KvCacheView::dense(spec.layout, spec.shape, spec.dtype, spec.page_size, step.num_pages, k, v);
  if (spec.padded && (spec.layout == KvLayout::kHND || spec.layout == KvLayout::kNHD)) {
    // K and V each have strides of their own: V is the other way round.
    const KvLayout other = spec.layout == KvLayout::kHND ? KvLayout::kNHD : KvLayout::kHND;
    layer_.kv.v = KvCacheView::dense(other, spec.shape, spec.dtype, spec.page_size, step.num_pages, k, v).v;
  }
  layer_.kv.k.page_stride += pad;
  layer_.kv.v.page_stride += pad;
  make_rows(spec, spec.dtype, random, layer_.q, q_, q_ids_);
  make_rows(spec, spec.out_dtype, random, layer_.out, out_, out_ids_);

  if (spec.lse) {
    const std::int64_t gap = spec.padded ? 1 : 0;
    LseView lse{.data = nullptr, .row_stride = (1 + gap) * spec.shape.num_q_heads + gap, .head_stride = 1 + gap};
    lse.base = *spec.lse;
    lse_.assign(static_cast<std::size_t>(layer_.out.num_rows * lse.row_stride + 2 * gap) * sizeof(float), kPoison);
    lse.data = reinterpret_cast<float*>(lse_.data()) + gap;
    layer_.lse = lse;
  }

  const LayerFiller filler(spec, step, layer_, random);
  for (std::int64_t row = 0; row < step.batch; ++row) filler.fill_row(row);
  for (const Needle& needle : spec.needles) filler.place(needle);
  if (spec.padded && spec.shape.num_kv_heads == 1) {  // which is when nobody may use it
    layer_.kv.k.head_stride = std::int64_t{1} << 40;
    layer_.kv.v.head_stride = -1;
  }
  layer_.validate(step);
}

void LayerData::poison_outputs() {
  std::fill(out_.begin(), out_.end(), kPoison);
  std::fill(lse_.begin(), lse_.end(), kPoison);
}

}  // namespace pkv::conformance
