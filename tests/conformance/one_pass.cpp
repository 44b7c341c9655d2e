#include "conformance/one_pass.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace pkv::conformance {

OnePass one_pass_decode(const Step& step, const Layer& layer, std::int64_t row, int q_head) {
  const int d = step.shape.head_dim;
  const auto scale = static_cast<float>(step.shape.scale());
  const int kv_head = step.shape.num_kv_heads == 1 ? 0 : q_head / step.shape.group_size();
  const std::int64_t q_row = layer.q.row_ids ? layer.q.row_ids.at(row) : row;
  const std::int64_t q_offset = q_row * layer.q.row_stride + q_head * layer.q.head_stride;
  const auto offset = [&](const PagedTensorView& tensor, std::int64_t token) {
    const std::int64_t page = step.table.page(step.table.base(row), token / step.page_size);
    const std::int64_t head = kv_head == 0 ? 0 : kv_head * tensor.head_stride;
    return page * tensor.page_stride + token % step.page_size * tensor.token_stride + head;
  };

  OnePass result{std::vector<float>(static_cast<std::size_t>(d)), 0.0};
  float max = -std::numeric_limits<float>::infinity();
  float sum = 0.0f;
  float largest = 0.0f;  // sum of |q_i k_i|, over tokens
  for (std::int64_t token = 0; token < step.lengths.at(row); ++token) {
    float score = 0.0f;
    float magnitude = 0.0f;
    const std::int64_t k_offset = offset(layer.kv.k, token);
    for (int i = 0; i < d; ++i) {
      const float product = load_element(layer.q.data, layer.q.dtype, q_offset + i) *
                            load_element(layer.kv.k.data, layer.kv.dtype, k_offset + i);
      score += product;
      magnitude += std::abs(product);
    }
    score *= scale;
    largest = std::max(largest, magnitude);
    const float new_max = std::max(max, score);
    const float shrink = std::exp(max - new_max);
    const float weight = std::exp(score - new_max);
    sum = sum * shrink + weight;
    const std::int64_t v_offset = offset(layer.kv.v, token);
    for (int i = 0; i < d; ++i) {
      float& element = result.out[static_cast<std::size_t>(i)];
      element = element * shrink + weight * load_element(layer.kv.v.data, layer.kv.dtype, v_offset + i);
    }
    max = new_max;
  }
  for (float& element : result.out) element /= sum;
  result.score_noise = 8.0 * 0x1p-24 * largest * step.shape.scale();
  return result;
}

}  // namespace pkv::conformance
