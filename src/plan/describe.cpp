#include "persistentkv/plan/work_plan.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

namespace pkv {

namespace {

std::string_view kind_name(Launch::Kind kind) {
  switch (kind) {
    case Launch::Kind::kDecode:
      return "decode";
    case Launch::Kind::kMerge:
      return "merge";
    case Launch::Kind::kDecodeMerge:
      return "decode and merge";
  }
  return "?";
}

/// Appends lines until there are `max_lines`, then counts the rest.
class Lines {
 public:
  explicit Lines(int max_lines) : max_lines_(max_lines) {}

  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    if (count_++ < max_lines_) {
      fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
      text_ += '\n';
    }
  }
  [[nodiscard]] std::string finish() && {
    if (count_ > max_lines_) text_ += fmt::format("... and {} more lines\n", count_ - max_lines_);
    return std::move(text_);
  }

 private:
  int max_lines_;
  int count_ = 0;
  std::string text_;
};

void add_worker(Lines& lines, const WorkPlan& plan, int w) {
  if (plan.worker(w).empty()) {
    lines.add("  worker {}: idle", w);
    return;
  }
  for (const Segment& s : plan.worker(w)) {
    lines.add("  worker {}: row {}, KV head {}, tokens [{}, {}){}", w, s.row, s.kv_head, plan.token_begin(s),
              plan.token_end(s), s.slot == Segment::kNoSlot ? std::string() : fmt::format(" -> slot {}", s.slot));
  }
}

void add_merge(Lines& lines, const WorkPlan& plan, const Merge& m) {
  lines.add("  merge: row {}, KV head {}, slots {}", m.row, m.kv_head, fmt::join(plan.slots(m), " "));
}

}  // namespace

std::string describe(const WorkPlan& plan, int max_lines) {
  const PlanCounters& c = plan.counters();
  std::string text = fmt::format(
      "plan {}: {} rows, {} tokens, Hq {}, Hkv {}, d {}, tiles of {} tokens\n"
      "launches {} (merge {}), decode CTAs {} ({} idle), segments {}, partials {}, merge {:.2f} MiB\n",
      plan.name(), plan.batch(), c.kv_tokens, plan.num_q_heads(), plan.num_kv_heads(), plan.head_dim(),
      plan.tile_tokens(), c.launches, c.merge_launches, c.decode_ctas, c.idle_ctas, c.segments, c.partials,
      static_cast<double>(c.merge_bytes) / (1 << 20));
  if (c.groups > 0) text += fmt::format("buckets {}\n", c.groups);
  if (c.reserved_tokens > c.kv_tokens)
    text += fmt::format("reserved {} tokens for {}\n", c.reserved_tokens, c.kv_tokens);

  Lines lines(std::max(max_lines, 0));
  for (std::size_t l = 0; l < plan.launches().size(); ++l) {
    const Launch& launch = plan.launches()[l];
    lines.add("launch {}: {} of {} items", l, kind_name(launch.kind), launch.end - launch.begin);
    for (std::int32_t i = launch.begin; i < launch.end; ++i) {
      if (launch.kind == Launch::Kind::kMerge)
        add_merge(lines, plan, plan.merges()[static_cast<std::size_t>(i)]);
      else
        add_worker(lines, plan, i);
    }
    if (launch.kind != Launch::Kind::kDecodeMerge) continue;
    for (const Merge& merge : plan.merges()) add_merge(lines, plan, merge);
  }
  return text + std::move(lines).finish();
}

}  // namespace pkv
