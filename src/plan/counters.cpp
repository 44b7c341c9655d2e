#include "count.hpp"

#include <numeric>

namespace pkv::detail {

PlanCounters count(const PlanParts& parts) {
  PlanCounters counters;
  const std::int64_t group_size = parts.num_q_heads / parts.num_kv_heads;
  counters.launches = static_cast<std::int64_t>(parts.launches.size());
  for (const Launch& launch : parts.launches) counters.merge_launches += launch.kind == Launch::Kind::kMerge ? 1 : 0;
  counters.decode_ctas = static_cast<std::int64_t>(parts.worker_offsets.size()) - 1;
  for (std::size_t w = 1; w < parts.worker_offsets.size(); ++w)
    counters.idle_ctas += parts.worker_offsets[w] == parts.worker_offsets[w - 1] ? 1 : 0;
  counters.groups = parts.num_groups;
  counters.segments = static_cast<std::int64_t>(parts.segments.size());
  counters.partials = static_cast<std::int64_t>(parts.merge_slots.size()) * group_size;
  counters.merge_bytes = counters.partials * (2 + parts.head_dim) * static_cast<std::int64_t>(sizeof(float));
  for (const std::int32_t length : parts.lengths) counters.kv_tokens += length;
  counters.reserved_tokens = counters.kv_tokens;
  if (!parts.reserved_tokens.empty())
    counters.reserved_tokens = std::reduce(parts.reserved_tokens.begin(), parts.reserved_tokens.end(), std::int64_t{0});
  counters.kv_elements = counters.kv_tokens * parts.num_kv_heads * parts.head_dim * 2;
  return counters;
}

}  // namespace pkv::detail
