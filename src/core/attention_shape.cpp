#include "persistentkv/core/attention_shape.hpp"

#include "checks.hpp"

#include <cmath>

namespace pkv {

namespace {
constexpr int kMaxExtent = 65536;
}

double AttentionShape::scale() const noexcept {
  return softmax_scale != 0.0 ? softmax_scale : 1.0 / std::sqrt(static_cast<double>(head_dim));
}

void AttentionShape::validate() const {
  detail::require_in_range("num_q_heads", num_q_heads, 1, kMaxExtent);
  detail::require_in_range("num_kv_heads", num_kv_heads, 1, kMaxExtent);
  detail::require_in_range("head_dim", head_dim, 1, kMaxExtent);
  if (num_q_heads % num_kv_heads != 0) {
    throw InvalidArgument(
        fmt::format("num_q_heads is {}, must be a multiple of num_kv_heads, which is {}", num_q_heads, num_kv_heads));
  }
  if (!std::isfinite(softmax_scale) || softmax_scale < 0.0) {
    throw InvalidArgument(
        fmt::format("softmax_scale is {}, must be finite and > 0, or 0 for 1 / sqrt(head_dim)", softmax_scale));
  }
}

}  // namespace pkv
