#include "persistentkv/engine/backend.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace pkv {

std::string Capabilities::why_not(const AttentionShape& shape, DType dtype, int page_size) const {
  if (std::find(dtypes.begin(), dtypes.end(), dtype) == dtypes.end()) {
    std::vector<std::string_view> names;
    for (const DType d : dtypes) names.push_back(to_string(d));
    return fmt::format("dtype is {}, must be one of {}", to_string(dtype), fmt::join(names, ", "));
  }
  const int d = shape.head_dim;
  if (!head_dims.empty() && std::find(head_dims.begin(), head_dims.end(), d) == head_dims.end())
    return fmt::format("head_dim is {}, must be one of {}", d, fmt::join(head_dims, ", "));
  if (head_dims.empty() && (d % head_dim_multiple != 0 || d > max_head_dim))
    return fmt::format("head_dim is {}, must be a multiple of {} up to {}", d, head_dim_multiple, max_head_dim);
  if (max_group_size > 0 && shape.group_size() > max_group_size)
    return fmt::format("num_q_heads / num_kv_heads is {}, must be at most {}", shape.group_size(), max_group_size);
  if (page_size < min_page_size) return fmt::format("page_size is {}, must be >= {}", page_size, min_page_size);
  return {};
}

}  // namespace pkv
