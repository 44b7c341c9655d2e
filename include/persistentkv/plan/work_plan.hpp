#pragma once

/// A work plan: which worker reads which tokens of which row and KV head, and how the partial results merge.

#include "persistentkv/plan/counters.hpp"
#include "persistentkv/plan/schedule.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace pkv {

/// A run of whole tiles of one row and KV head, for all query heads of its group.
struct Segment {
  std::int32_t row = 0;
  std::int32_t kv_head = 0;
  std::int32_t tile_begin = 0;  ///< tokens [tile_begin * tile_tokens, min(tile_end * tile_tokens, length))
  std::int32_t tile_end = 0;
  std::int32_t slot = kNoSlot;  ///< partial slot it writes; kNoSlot: it is the whole row and head, and writes out

  static constexpr std::int32_t kNoSlot = -1;
  friend bool operator==(const Segment&, const Segment&) = default;
};

/// The combination of all partials of one row and KV head.
struct Merge {
  std::int32_t row = 0;
  std::int32_t kv_head = 0;
  std::int32_t slots_begin = 0;  ///< its slots are merge_slots()[slots_begin, slots_end), in token order
  std::int32_t slots_end = 0;

  friend bool operator==(const Merge&, const Merge&) = default;
};

/// One kernel launch. Launches run one after the other.
struct Launch {
  enum class Kind : std::uint8_t {
    kDecode,       ///< items are workers
    kMerge,        ///< items are merges
    kDecodeMerge,  ///< items are workers; whoever finishes the last partial of a merge carries it out
  };
  Kind kind = Kind::kDecode;
  std::int32_t begin = 0;  ///< items [begin, end)
  std::int32_t end = 0;

  friend bool operator==(const Launch&, const Launch&) = default;
};

/// Everything a plan consists of. Build one by hand only to study a cut: make_plan() knows the schedules.
struct PlanParts {
  std::string name;  ///< the schedule's, or the author's
  int num_q_heads = 0;
  int num_kv_heads = 0;
  int head_dim = 0;
  int tile_tokens = 0;
  std::vector<std::int32_t> lengths;  ///< [batch] tokens, >= 0
  std::vector<Segment> segments;
  std::vector<std::int32_t> worker_offsets;  ///< [workers + 1]: worker w does segments [offsets[w], offsets[w + 1])
  std::vector<Launch> launches;
  std::vector<Merge> merges;
  std::vector<std::int32_t> merge_slots;
  std::int32_t num_slots = 0;  ///< partial slots, each G * (head_dim + 2) floats: acc, running max, sum
  /// [batch] tokens whose pages each row's place in its grid takes, >= its length: a bucket's bound, as far as the row
  /// has pages. Empty: the lengths.
  std::vector<std::int32_t> reserved_tokens;
  std::int32_t num_groups = 0;  ///< buckets that the rows were put in; 0 where the schedule has none
};

/// Immutable and valid: no instance exists that fails validation.
class WorkPlan {
 public:
  /// Checks `parts` in linear time, and throws InvalidArgument naming the first thing wrong: a token covered twice or
  /// by nobody, a slot written twice, read twice or never merged, an item that no launch or two launches run, a merge
  /// launched before its partials, a segment past its row's end.
  explicit WorkPlan(PlanParts parts);

  [[nodiscard]] const std::string& name() const noexcept { return parts_.name; }
  [[nodiscard]] int num_q_heads() const noexcept { return parts_.num_q_heads; }
  [[nodiscard]] int num_kv_heads() const noexcept { return parts_.num_kv_heads; }
  [[nodiscard]] int group_size() const noexcept { return parts_.num_q_heads / parts_.num_kv_heads; }
  [[nodiscard]] int head_dim() const noexcept { return parts_.head_dim; }
  [[nodiscard]] int tile_tokens() const noexcept { return parts_.tile_tokens; }
  [[nodiscard]] int batch() const noexcept { return static_cast<int>(parts_.lengths.size()); }
  [[nodiscard]] int num_workers() const noexcept { return static_cast<int>(parts_.worker_offsets.size()) - 1; }
  [[nodiscard]] int num_slots() const noexcept { return parts_.num_slots; }

  [[nodiscard]] std::span<const std::int32_t> lengths() const noexcept { return parts_.lengths; }
  [[nodiscard]] std::span<const Segment> segments() const noexcept { return parts_.segments; }
  [[nodiscard]] std::span<const Launch> launches() const noexcept { return parts_.launches; }
  [[nodiscard]] std::span<const Merge> merges() const noexcept { return parts_.merges; }

  /// The segments of worker w, in the order in which it does them. Empty for an idle CTA of a rectangular grid.
  [[nodiscard]] std::span<const Segment> worker(int w) const noexcept;
  /// The partial slots of a merge, in token order.
  [[nodiscard]] std::span<const std::int32_t> slots(const Merge& merge) const noexcept;

  /// Pages of `page_size` tokens, >= 1, that the rows take, each rounded up to the bound of its bucket where the
  /// schedule rounds: what is reserved, not what is read.
  [[nodiscard]] std::int64_t reserved_pages(int page_size) const noexcept;

  /// Tokens [first, last) that a segment covers.
  [[nodiscard]] std::int64_t token_begin(const Segment& s) const noexcept {
    return std::int64_t{s.tile_begin} * parts_.tile_tokens;
  }
  [[nodiscard]] std::int64_t token_end(const Segment& s) const noexcept;

  /// The structural counters of the paper, computed once.
  [[nodiscard]] const PlanCounters& counters() const noexcept { return counters_; }
  /// The parts, to change and build another plan from.
  [[nodiscard]] const PlanParts& parts() const noexcept { return parts_; }

 private:
  PlanParts parts_;
  PlanCounters counters_;
};

/// For people: a summary, then a line for each launch, worker and merge. `max_lines` cuts the listing.
[[nodiscard]] std::string describe(const WorkPlan& plan, int max_lines = 64);

}  // namespace pkv
