#include "validate.hpp"

#include "arith/tiles.hpp"
#include "persistentkv/core/attention_shape.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/core/step.hpp"

#include <fmt/format.h>

#include <cstdint>

namespace pkv::detail {

namespace {

constexpr std::int32_t kNone = -1;

template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw InvalidArgument("plan: " + fmt::format(format, std::forward<Args>(args)...));
}

std::string describe_segment(const PlanParts& parts, std::int32_t index) {
  const Segment& s = parts.segments[static_cast<std::size_t>(index)];
  return fmt::format("segment {} (row {}, KV head {}, tiles [{}, {}))", index, s.row, s.kv_head, s.tile_begin,
                     s.tile_end);
}

class Validator {
 public:
  explicit Validator(const PlanParts& parts) : parts_(parts) {}

  void run() {
    check_sizes();
    check_worker_offsets();
    check_launches();
    check_segments();
    check_merges();
    check_coverage();
  }

 private:
  [[nodiscard]] std::size_t unit(std::int32_t row, std::int32_t kv_head) const {
    return static_cast<std::size_t>(row) * static_cast<std::size_t>(parts_.num_kv_heads) +
           static_cast<std::size_t>(kv_head);
  }
  [[nodiscard]] std::int32_t tiles(std::int32_t row) const {
    return arith::num_tiles(parts_.lengths[static_cast<std::size_t>(row)], parts_.tile_tokens);
  }
  void check_unit(std::string_view what, std::size_t index, std::int32_t row, std::int32_t kv_head) const {
    if (row < 0 || row >= static_cast<std::int64_t>(parts_.lengths.size()))
      fail("{} {} has row {}, must be in [0, {})", what, index, row, parts_.lengths.size());
    if (kv_head < 0 || kv_head >= parts_.num_kv_heads)
      fail("{} {} has kv_head {}, must be in [0, {})", what, index, kv_head, parts_.num_kv_heads);
  }

  void check_reserved() const {
    if (parts_.reserved_tokens.empty()) return;
    if (parts_.reserved_tokens.size() != parts_.lengths.size())
      fail("reserved_tokens has {} entries, must have batch = {} or none", parts_.reserved_tokens.size(),
           parts_.lengths.size());
    for (std::size_t row = 0; row < parts_.lengths.size(); ++row) {
      if (parts_.reserved_tokens[row] < parts_.lengths[row])
        fail("reserved_tokens[{}] is {}, must be >= its length, {}", row, parts_.reserved_tokens[row],
             parts_.lengths[row]);
    }
  }

  void check_sizes() const {
    AttentionShape{parts_.num_q_heads, parts_.num_kv_heads, parts_.head_dim}.validate();
    validate_tile_tokens(parts_.tile_tokens);
    validate_lengths(parts_.lengths);
    for (const std::int32_t length : parts_.lengths)
      if (length < 0) fail("a length is {}, must be >= 0", length);
    check_reserved();
    constexpr std::size_t kMaxItems = std::size_t{1} << 30;
    if (parts_.segments.size() > kMaxItems) fail("{} segments, must be at most 2^30", parts_.segments.size());
    if (parts_.num_slots < 0 || static_cast<std::size_t>(parts_.num_slots) > kMaxItems)
      fail("num_slots is {}, must be in [0, 2^30]", parts_.num_slots);
  }

  void check_worker_offsets() const {
    const auto& offsets = parts_.worker_offsets;
    if (offsets.empty() || offsets.front() != 0) fail("worker_offsets must begin with 0");
    for (std::size_t w = 1; w < offsets.size(); ++w)
      if (offsets[w] < offsets[w - 1]) fail("worker_offsets[{}] is {}, must be >= {}", w, offsets[w], offsets[w - 1]);
    if (static_cast<std::size_t>(offsets.back()) != parts_.segments.size())
      fail("worker_offsets ends with {}, must be the number of segments, {}", offsets.back(), parts_.segments.size());
  }

  /// Workers and merges each in one launch at most; every worker in one.
  void check_launches() {
    launch_of_segment_.assign(parts_.segments.size(), kNone);
    launch_of_merge_.assign(parts_.merges.size(), kNone);
    const std::size_t workers = parts_.worker_offsets.size() - 1;
    std::vector<std::uint8_t> launched(workers, 0);
    for (std::size_t l = 0; l < parts_.launches.size(); ++l) {
      const Launch& launch = parts_.launches[l];
      const bool merges = launch.kind == Launch::Kind::kMerge;
      const std::size_t items = merges ? parts_.merges.size() : workers;
      if (launch.begin < 0 || launch.end < launch.begin || static_cast<std::size_t>(launch.end) > items)
        fail("launch {} has items [{}, {}), must lie in [0, {})", l, launch.begin, launch.end, items);
      for (auto i = static_cast<std::size_t>(launch.begin); i < static_cast<std::size_t>(launch.end); ++i) {
        if (merges ? launch_of_merge_[i] != kNone : launched[i] != 0)
          fail("launch {} runs {} {}, which an earlier launch runs", l, merges ? "merge" : "worker", i);
        if (merges) {
          launch_of_merge_[i] = static_cast<std::int32_t>(l);
          continue;
        }
        launched[i] = 1;
        for (auto s = parts_.worker_offsets[i]; s < parts_.worker_offsets[i + 1]; ++s)
          launch_of_segment_[static_cast<std::size_t>(s)] = static_cast<std::int32_t>(l);
      }
    }
    for (std::size_t w = 0; w < workers; ++w)
      if (launched[w] == 0) fail("worker {} is in no launch", w);
  }

  void check_segments() {
    covered_.assign(parts_.lengths.size() * static_cast<std::size_t>(parts_.num_kv_heads), 0);
    writer_.assign(static_cast<std::size_t>(parts_.num_slots), kNone);
    for (std::size_t i = 0; i < parts_.segments.size(); ++i) {
      const Segment& s = parts_.segments[i];
      check_unit("segment", i, s.row, s.kv_head);
      const auto index = static_cast<std::int32_t>(i);
      if (s.tile_begin < 0 || s.tile_end <= s.tile_begin || s.tile_end > tiles(s.row))
        fail("{} must be non-empty and lie in the row's [0, {})", describe_segment(parts_, index), tiles(s.row));
      if (s.slot == Segment::kNoSlot) {
        if (s.tile_begin != 0 || s.tile_end != tiles(s.row))
          fail("{} has no slot, but is not the whole row: [0, {})", describe_segment(parts_, index), tiles(s.row));
        cover(s.row, s.kv_head);
        continue;
      }
      if (s.slot < 0 || s.slot >= parts_.num_slots)
        fail("{} has slot {}, must be in [0, {})", describe_segment(parts_, index), s.slot, parts_.num_slots);
      std::int32_t& writer = writer_[static_cast<std::size_t>(s.slot)];
      if (writer != kNone)
        fail("{} writes slot {}, which segment {} writes", describe_segment(parts_, index), s.slot, writer);
      writer = index;
      ++partials_;
    }
  }

  /// Each merge reads, in token order, partials that together are its whole row and head, and that are there by then.
  void check_merges() {
    std::vector<std::uint8_t> read(writer_.size(), 0);
    for (std::size_t m = 0; m < parts_.merges.size(); ++m) {
      const Merge& merge = parts_.merges[m];
      check_unit("merge", m, merge.row, merge.kv_head);
      const std::size_t all = parts_.merge_slots.size();
      if (merge.slots_begin < 0 || merge.slots_end <= merge.slots_begin ||
          static_cast<std::size_t>(merge.slots_end) > all)
        fail("merge {} has slots [{}, {}), must be non-empty and lie in [0, {})", m, merge.slots_begin, merge.slots_end,
             all);
      std::int32_t next_tile = 0;
      std::int32_t partial_launch = kNone;
      for (std::int32_t i = merge.slots_begin; i < merge.slots_end; ++i) {
        const std::int32_t slot = parts_.merge_slots[static_cast<std::size_t>(i)];
        const Segment& s = check_partial(m, slot, next_tile);
        if (read[static_cast<std::size_t>(slot)]++ != 0) fail("merge {} reads slot {}, which was read before", m, slot);
        check_order(m, writer_[static_cast<std::size_t>(slot)], partial_launch);
        next_tile = s.tile_end;
        --partials_;
      }
      if (next_tile != tiles(merge.row))
        fail("merge {} (row {}, KV head {}) ends at tile {}, must end at {}", m, merge.row, merge.kv_head, next_tile,
             tiles(merge.row));
      cover(merge.row, merge.kv_head);
    }
    if (partials_ != 0) fail("{} partials are never merged", partials_);
  }

  const Segment& check_partial(std::size_t m, std::int32_t slot, std::int32_t next_tile) const {
    const Merge& merge = parts_.merges[m];
    if (slot < 0 || slot >= parts_.num_slots || writer_[static_cast<std::size_t>(slot)] == kNone)
      fail("merge {} reads slot {}, which nobody writes", m, slot);
    const std::int32_t index = writer_[static_cast<std::size_t>(slot)];
    const Segment& s = parts_.segments[static_cast<std::size_t>(index)];
    if (s.row != merge.row || s.kv_head != merge.kv_head)
      fail("merge {} (row {}, KV head {}) reads {}", m, merge.row, merge.kv_head, describe_segment(parts_, index));
    if (s.tile_begin != next_tile)
      fail("merge {} (row {}, KV head {}) must go on at tile {}, but reads {}", m, merge.row, merge.kv_head, next_tile,
           describe_segment(parts_, index));
    return s;
  }

  void check_order(std::size_t m, std::int32_t segment, std::int32_t& partial_launch) const {
    const std::int32_t launch = launch_of_segment_[static_cast<std::size_t>(segment)];
    const bool fused = parts_.launches[static_cast<std::size_t>(launch)].kind == Launch::Kind::kDecodeMerge;
    const std::int32_t merge_launch = launch_of_merge_[m];
    if (merge_launch == kNone) {  // then the one launch that makes all its partials must merge them
      if (!fused || (partial_launch != kNone && partial_launch != launch))
        fail("merge {} is in no launch, and launch {} does not merge all its partials", m, launch);
    } else if (fused || launch >= merge_launch) {
      fail("merge {} is in launch {}, but launch {} makes one of its partials", m, merge_launch, launch);
    }
    partial_launch = launch;
  }

  void cover(std::int32_t row, std::int32_t kv_head) {
    if (covered_[unit(row, kv_head)]++ != 0) fail("row {}, KV head {} is covered twice", row, kv_head);
  }

  void check_coverage() const {
    for (std::size_t row = 0; row < parts_.lengths.size(); ++row) {
      if (parts_.lengths[row] == 0) continue;
      for (std::int32_t h = 0; h < parts_.num_kv_heads; ++h)
        if (covered_[unit(static_cast<std::int32_t>(row), h)] == 0)
          fail("row {}, KV head {}: {} tokens are covered by nobody", row, h, parts_.lengths[row]);
    }
  }

  const PlanParts& parts_;
  std::vector<std::int32_t> launch_of_segment_;
  std::vector<std::int32_t> launch_of_merge_;
  std::vector<std::int32_t> writer_;   // [num_slots] segment that writes the slot
  std::vector<std::uint8_t> covered_;  // [batch, num_kv_heads]
  std::int64_t partials_ = 0;          // written and not yet read
};

}  // namespace

void validate(const PlanParts& parts) { Validator(parts).run(); }

void validate_lengths(std::span<const std::int32_t> lengths) {
  if (lengths.size() > static_cast<std::size_t>(kMaxBatch))
    throw InvalidArgument(fmt::format("batch is {} rows, must be at most {}", lengths.size(), kMaxBatch));
  for (std::size_t row = 0; row < lengths.size(); ++row) {
    if (lengths[row] > kMaxRowTokens)
      throw InvalidArgument(
          fmt::format("lengths[{}] is {}, must be at most {} tokens", row, lengths[row], kMaxRowTokens));
  }
}

void validate_tile_tokens(int tile_tokens) {
  constexpr int kMaxTile = 1 << 20;
  if (tile_tokens < 1 || tile_tokens > kMaxTile)
    throw InvalidArgument(fmt::format("tile_tokens is {}, must be in [1, {}]", tile_tokens, kMaxTile));
}

}  // namespace pkv::detail
