#include "persistentkv/engine/backend.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace pkv {

namespace {

template <class T>
bool has(const std::vector<T>& values, T value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

}  // namespace

bool Capabilities::has_route(Route route) const noexcept {
  const auto schedule = schedule_of(route);
  return schedule ? has(schedules, *schedule) : has(own_routes, route);
}

bool Capabilities::takes_device_lengths(Route route) const noexcept {
  const auto schedule = schedule_of(route);
  return schedule && has(device_lengths, *schedule);
}

std::vector<Route> Capabilities::routes() const {
  std::vector<Route> routes;
  routes.reserve(schedules.size() + own_routes.size());
  for (const Schedule schedule : schedules) routes.push_back(route_of(schedule));
  routes.insert(routes.end(), own_routes.begin(), own_routes.end());
  return routes;
}

std::string Capabilities::why_not(const AttentionShape& shape, DType dtype, int page_size) const {
  if (!has(dtypes, dtype)) {
    std::vector<std::string_view> names;
    for (const DType d : dtypes) names.push_back(to_string(d));
    return fmt::format("dtype is {}, must be one of {}", to_string(dtype), fmt::join(names, ", "));
  }
  const int d = shape.head_dim;
  if (!head_dims.empty() && !has(head_dims, d))
    return fmt::format("head_dim is {}, must be one of {}", d, fmt::join(head_dims, ", "));
  if (head_dims.empty() && (d % head_dim_multiple != 0 || d > max_head_dim))
    return fmt::format("head_dim is {}, must be a multiple of {} up to {}", d, head_dim_multiple, max_head_dim);
  if (!group_sizes.empty() && !has(group_sizes, shape.group_size()))
    return fmt::format("num_q_heads / num_kv_heads is {}, must be one of {}", shape.group_size(),
                       fmt::join(group_sizes, ", "));
  if (max_group_size > 0 && shape.group_size() > max_group_size)
    return fmt::format("num_q_heads / num_kv_heads is {}, must be at most {}", shape.group_size(), max_group_size);
  if (page_size < min_page_size) return fmt::format("page_size is {}, must be >= {}", page_size, min_page_size);
  return {};
}

}  // namespace pkv
