#include "conformance/random_plan.hpp"

#include <algorithm>
#include <numeric>
#include <set>

namespace pkv::conformance {

namespace {

/// Rows and heads whose partials are made, and merged, in launches of their own.
struct Phase {
  bool fused = false;
  std::vector<Segment> segments;
  std::vector<Merge> merges;
};

class RandomPlanner {
 public:
  RandomPlanner(const Step& step, int tile_tokens, Random& random) : random_(random) {
    parts_.name = "random";
    parts_.num_q_heads = step.shape.num_q_heads;
    parts_.num_kv_heads = step.shape.num_kv_heads;
    parts_.head_dim = step.shape.head_dim;
    parts_.tile_tokens = tile_tokens;
    parts_.worker_offsets = {0};
    for (std::int64_t row = 0; row < step.batch; ++row)
      parts_.lengths.push_back(static_cast<std::int32_t>(step.lengths.at(row)));
  }

  PlanParts plan() {
    std::vector<Phase> phases(static_cast<std::size_t>(random_.in(1, 3)));
    for (Phase& phase : phases) phase.fused = random_.chance(0.5);
    for (std::size_t row = 0; row < parts_.lengths.size(); ++row) {
      for (int head = 0; head < parts_.num_kv_heads; ++head)
        cut(static_cast<std::int32_t>(row), head,
            phases[static_cast<std::size_t>(random_.in(0, std::ssize(phases) - 1))]);
    }
    scatter_slots(phases);
    for (Phase& phase : phases) launch(phase);
    return std::move(parts_);
  }

 private:
  void cut(std::int32_t row, std::int32_t head, Phase& phase) {
    const std::int32_t length = parts_.lengths[static_cast<std::size_t>(row)];
    const std::int32_t tiles = (length + parts_.tile_tokens - 1) / parts_.tile_tokens;
    if (tiles == 0) return;
    if (random_.chance(0.2)) return phase.segments.push_back({row, head, 0, tiles, Segment::kNoSlot});
    std::set<std::int32_t> edges = {0, tiles};
    for (std::int64_t i = random_.in(0, 7); i > 0; --i) edges.insert(static_cast<std::int32_t>(random_.in(0, tiles)));
    Merge merge{row, head, static_cast<std::int32_t>(parts_.merge_slots.size()), 0};
    for (auto edge = edges.begin(); std::next(edge) != edges.end(); ++edge) {
      const auto slot = static_cast<std::int32_t>(parts_.merge_slots.size());
      phase.segments.push_back({row, head, *edge, *std::next(edge), slot});
      parts_.merge_slots.push_back(slot);
    }
    merge.slots_end = static_cast<std::int32_t>(parts_.merge_slots.size());
    phase.merges.push_back(merge);
  }

  /// Gives the slots other numbers, with some that nobody uses.
  void scatter_slots(std::vector<Phase>& phases) {
    parts_.num_slots =
        static_cast<std::int32_t>(parts_.merge_slots.size()) + static_cast<std::int32_t>(random_.in(0, 5));
    std::vector<std::int32_t> numbers(static_cast<std::size_t>(parts_.num_slots));
    std::iota(numbers.begin(), numbers.end(), 0);
    random_.shuffle(numbers);
    const auto renumber = [&](std::int32_t& slot) { slot = numbers[static_cast<std::size_t>(slot)]; };
    std::for_each(parts_.merge_slots.begin(), parts_.merge_slots.end(), renumber);
    for (Phase& phase : phases)
      for (Segment& segment : phase.segments)
        if (segment.slot != Segment::kNoSlot) renumber(segment.slot);
  }

  void launch(Phase& phase) {
    random_.shuffle(phase.segments);
    random_.shuffle(phase.merges);
    const auto first = static_cast<std::int32_t>(parts_.worker_offsets.size()) - 1;
    const auto workers = static_cast<std::int32_t>(random_.in(1, 12));
    std::vector<std::int64_t> ends;
    for (std::int32_t w = 1; w < workers; ++w) ends.push_back(random_.in(0, std::ssize(phase.segments)));
    ends.push_back(std::ssize(phase.segments));
    std::sort(ends.begin(), ends.end());
    const auto base = static_cast<std::int32_t>(parts_.segments.size());
    for (const std::int64_t end : ends) parts_.worker_offsets.push_back(base + static_cast<std::int32_t>(end));
    parts_.segments.insert(parts_.segments.end(), phase.segments.begin(), phase.segments.end());

    const auto first_merge = static_cast<std::int32_t>(parts_.merges.size());
    parts_.merges.insert(parts_.merges.end(), phase.merges.begin(), phase.merges.end());
    if (phase.fused) {
      parts_.launches.push_back({Launch::Kind::kDecodeMerge, first, first + workers});
      return;
    }
    const auto middle = first + static_cast<std::int32_t>(random_.in(0, workers));
    parts_.launches.push_back({Launch::Kind::kDecode, first, middle});
    parts_.launches.push_back({Launch::Kind::kDecode, middle, first + workers});
    parts_.launches.push_back({Launch::Kind::kMerge, first_merge, static_cast<std::int32_t>(parts_.merges.size())});
  }

  Random& random_;
  PlanParts parts_;
};

}  // namespace

PlanParts random_plan(const Step& step, int tile_tokens, Random& random) {
  return RandomPlanner(step, tile_tokens, random).plan();
}

}  // namespace pkv::conformance
