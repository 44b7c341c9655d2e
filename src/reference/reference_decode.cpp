#include "persistentkv/reference/reference_decode.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace pkv {

namespace {

std::vector<double> load_vector(const void* data, DType dtype, std::int64_t offset, int head_dim) {
  std::vector<double> vector(static_cast<std::size_t>(head_dim));
  for (int i = 0; i < head_dim; ++i) vector[static_cast<std::size_t>(i)] = load_element(data, dtype, offset + i);
  return vector;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// K or V of one row and KV head.
class TokenReader {
 public:
  TokenReader(const Step& step, const KvCacheView& kv, const PagedTensorView& tensor, std::int64_t row, int kv_head)
      : step_(step), kv_(kv), tensor_(tensor), base_(step.table.base(row)) {
    if (step.shape.num_kv_heads > 1) head_offset_ = kv_head * tensor.head_stride;
  }

  [[nodiscard]] std::vector<double> operator()(std::int64_t token) const {
    const std::int64_t page = step_.table.page(base_, token / step_.page_size);
    const std::int64_t offset =
        page * tensor_.page_stride + token % step_.page_size * tensor_.token_stride + head_offset_;
    return load_vector(tensor_.data, kv_.dtype, offset, step_.shape.head_dim);
  }

 private:
  const Step& step_;
  const KvCacheView& kv_;
  const PagedTensorView& tensor_;
  std::int64_t base_;
  std::int64_t head_offset_ = 0;
};

/// Query heads [first, first + count), which must share one KV head.
std::vector<ReferenceResult> decode_heads(const Step& step, const Layer& layer, std::int64_t row, int first,
                                          int count) {
  const AttentionShape& shape = step.shape;
  const auto d = static_cast<std::size_t>(shape.head_dim);
  const std::int64_t length = step.lengths.at(row);
  std::vector<ReferenceResult> results(static_cast<std::size_t>(count),
                                       {std::vector<double>(d), -std::numeric_limits<double>::infinity()});
  if (length == 0) return results;

  const std::int64_t q_row = layer.q.row_ids ? layer.q.row_ids.at(row) : row;
  std::vector<std::vector<double>> q;
  for (int g = 0; g < count; ++g) {
    const std::int64_t offset = q_row * layer.q.row_stride + (first + g) * layer.q.head_stride;
    q.push_back(load_vector(layer.q.data, layer.q.dtype, offset, shape.head_dim));
  }

  const int kv_head = first / shape.group_size();
  const TokenReader k(step, layer.kv, layer.kv.k, row, kv_head);
  const TokenReader v(step, layer.kv, layer.kv.v, row, kv_head);
  std::vector<std::vector<double>> scores(q.size(), std::vector<double>(static_cast<std::size_t>(length)));
  for (std::int64_t t = 0; t < length; ++t) {
    const std::vector<double> key = k(t);
    for (std::size_t g = 0; g < q.size(); ++g) scores[g][static_cast<std::size_t>(t)] = shape.scale() * dot(q[g], key);
  }
  for (std::size_t g = 0; g < q.size(); ++g) {
    const double max = *std::max_element(scores[g].begin(), scores[g].end());
    double sum = 0.0;
    for (const double score : scores[g]) sum += std::exp(score - max);
    results[g].lse = max + std::log(sum);
  }
  for (std::int64_t t = 0; t < length; ++t) {
    const std::vector<double> value = v(t);
    for (std::size_t g = 0; g < q.size(); ++g) {
      const double weight = std::exp(scores[g][static_cast<std::size_t>(t)] - results[g].lse);
      for (std::size_t i = 0; i < d; ++i) results[g].out[i] += weight * value[i];
    }
  }
  return results;
}

}  // namespace

ReferenceResult reference_decode(const Step& step, const Layer& layer, std::int64_t row, int q_head) {
  return std::move(decode_heads(step, layer, row, q_head, 1).front());
}

std::vector<ReferenceResult> reference_decode_group(const Step& step, const Layer& layer, std::int64_t row,
                                                    int kv_head) {
  const int group_size = step.shape.group_size();
  return decode_heads(step, layer, row, kv_head * group_size, group_size);
}

}  // namespace pkv
