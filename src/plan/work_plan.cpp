#include "persistentkv/plan/work_plan.hpp"

#include "arith/tiles.hpp"
#include "count.hpp"
#include "validate.hpp"

#include <algorithm>
#include <utility>

namespace pkv {

WorkPlan::WorkPlan(PlanParts parts) : parts_(std::move(parts)) {
  detail::validate(parts_);
  counters_ = detail::count(parts_);
}

std::span<const Segment> WorkPlan::worker(int w) const noexcept {
  const auto begin = static_cast<std::size_t>(parts_.worker_offsets[static_cast<std::size_t>(w)]);
  const auto end = static_cast<std::size_t>(parts_.worker_offsets[static_cast<std::size_t>(w) + 1]);
  return segments().subspan(begin, end - begin);
}

std::span<const std::int32_t> WorkPlan::slots(const Merge& merge) const noexcept {
  return std::span<const std::int32_t>(parts_.merge_slots)
      .subspan(static_cast<std::size_t>(merge.slots_begin),
               static_cast<std::size_t>(merge.slots_end - merge.slots_begin));
}

std::int64_t WorkPlan::reserved_pages(int page_size) const noexcept {
  std::int64_t pages = 0;
  for (const std::int32_t tokens : parts_.reserved_tokens.empty() ? parts_.lengths : parts_.reserved_tokens)
    pages += arith::ceil_div(std::int64_t{tokens}, page_size);
  return pages;
}

std::int64_t WorkPlan::token_end(const Segment& s) const noexcept {
  return std::min(std::int64_t{s.tile_end} * parts_.tile_tokens,
                  std::int64_t{parts_.lengths[static_cast<std::size_t>(s.row)]});
}

}  // namespace pkv
