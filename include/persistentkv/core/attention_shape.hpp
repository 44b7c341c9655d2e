#pragma once

/// Grouped-query attention's shape: what stays the same for every row and every step of a model.

namespace pkv {

/// num_q_heads = group_size * num_kv_heads: the query heads of group h, [h * G, (h + 1) * G), share KV head h.
struct AttentionShape {
  int num_q_heads = 32;        ///< Hq, >= 1, a multiple of num_kv_heads
  int num_kv_heads = 8;        ///< Hkv, >= 1
  int head_dim = 128;          ///< d, elements of one head of q, K, V and out, >= 1
  double softmax_scale = 0.0;  ///< scores are scaled by it; 0 stands for the usual 1 / sqrt(head_dim)

  [[nodiscard]] int group_size() const noexcept { return num_q_heads / num_kv_heads; }

  /// softmax_scale, or 1 / sqrt(head_dim) where it was left at 0.
  [[nodiscard]] double scale() const noexcept;

  /// Throws InvalidArgument: heads or head_dim below 1 or above 65536, Hq not a multiple of Hkv, a scale that is
  /// negative or not finite.
  void validate() const;

  friend bool operator==(const AttentionShape&, const AttentionShape&) = default;
};

}  // namespace pkv
