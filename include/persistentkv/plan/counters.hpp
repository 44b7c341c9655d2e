#pragma once

/// What a plan does, in numbers that need no clock: the paper's structural counters.

#include <cstdint>

namespace pkv {

struct PlanCounters {
  std::int64_t launches = 0;         ///< kernels: decode and merge
  std::int64_t merge_launches = 0;   ///< kernels that only merge
  std::int64_t decode_ctas = 0;      ///< launched decode CTAs, idle ones of rectangular grids included
  std::int64_t idle_ctas = 0;        ///< of these, the ones with nothing to read
  std::int64_t groups = 0;           ///< buckets; 0 where the schedule has none
  std::int64_t segments = 0;         ///< runs of tiles that are read
  std::int64_t partials = 0;         ///< (row, split, query head) states written to be merged
  std::int64_t merge_bytes = 0;      ///< partials * (2 + head_dim) * 4, counted once: as written
  std::int64_t kv_tokens = 0;        ///< sum of lengths
  std::int64_t reserved_tokens = 0;  ///< sum of what rows take: lengths, rounded up by coarse and padded buckets
  std::int64_t kv_elements = 0;      ///< kv_tokens * Hkv * head_dim * 2: times an element's size, the useful KV bytes

  /// Decode CTAs for each SM of a GPU that has `num_sms`.
  [[nodiscard]] double cta_work_per_sm(int num_sms) const noexcept {
    return static_cast<double>(decode_ctas) / num_sms;
  }

  friend bool operator==(const PlanCounters&, const PlanCounters&) = default;
};

}  // namespace pkv
