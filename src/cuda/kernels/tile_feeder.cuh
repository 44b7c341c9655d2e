#pragma once

// The K and V of a warp's run, 16 tokens at a time, through a ring in shared memory that the warp fills and drains by
// itself: no barrier, no producer warp, all stages always in flight.
//
// Where a tile lies costs a table lookup. Lanes prepare it for a group of tiles at once, and the entries of the group
// after are under way by then. The unit of a lookup is a granule: 16 tokens, or as many as surely share a page.

#include "step_access.cuh"

namespace pkv::cuda {

/// A place in the flattened (row, unit, token) space of a step.
struct Place {
  int row;
  int unit;
  int token;   // 0: the unit's first
  int tokens;  // of the row
};

/// Whether a unit has tokens in a run that ends at `end`.
__device__ __forceinline__ bool begins_before(int row, int unit, const Place& end) {
  return row < end.row || (row == end.row && (unit < end.unit || (unit == end.unit && end.token > 0)));
}

/// A stage holds K and V of a tile, token after token. ldmatrix reads 16 bytes of 8 neighbouring tokens at a time,
/// which must lie in 8 different groups of banks: chunks of 16 bytes are permuted by the token where there are a
/// multiple of 8 of them, and tokens are spread apart where not.
template <int kHeadDim, int kStages>
struct Ring {
  static constexpr bool kPermuted = kHeadDim % 64 == 0;
  static constexpr int kPitchBytes = kHeadDim * 2 + (kPermuted ? 0 : 16);
  static constexpr int kTensorBytes = kTileTokens * kPitchBytes;
  static constexpr int kStageBytes = 2 * kTensorBytes;  // K, then V
  static constexpr int kBytes = kStages * kStageBytes;

  __device__ __forceinline__ static std::uint32_t at(std::uint32_t tensor, int token, int chunk) {
    return tensor + token * kPitchBytes + (kPermuted ? chunk ^ (token & 7) : chunk) * 16;
  }
  /// `chunks` further on, an even number, from chunk 0 or 1 of a token: what differs is a constant. Of `tensor`, the
  /// lower 7 bits must be 0.
  __device__ __forceinline__ static std::uint32_t chunks_on(std::uint32_t place, int chunks) {
    return kPermuted ? (place ^ (chunks % 8 * 16)) + chunks / 8 * 128 : place + chunks * 16;
  }
};

/// `Rows` has next(row): the next Row of the step, and kOneUnit: whether runs lie within a unit.
template <int kHeadDim, int kStages, class Params, class Rows, class HeadCut>
class TileFeeder {
  using R = Ring<kHeadDim, kStages>;
  using Form = typename Params::Form;

 public:
  /// The run must not be empty.
  __device__ __forceinline__ TileFeeder(const Params& p, const Rows& rows, const Place& begin, const Place& end,
                                        std::uint32_t ring)
      : p_(p), rows_(rows), end_(end), ring_(ring) {
    if constexpr (kFixedChunk) {
      const int token = lane_id() / kChunks, chunk = lane_id() % kChunks;
      to_lane_ = R::at(0, token, chunk);
      k_lane_ = token * p.k.token_bytes + chunk * 16;
      v_lane_ = token * p.v.token_bytes + chunk * 16;
      not_before(to_lane_);
      not_before(k_lane_);
      not_before(v_lane_);
    }
    next_ = {begin.row, begin.unit, begin.tokens, begin.token / kTileTokens, 0};
    close_next(true);
    request();
  }

  /// Whether the next tile may be read before the kernel ahead of this one has finished.
  __device__ __forceinline__ bool next_is_old() const {
    if (!p_.dependent || p_.kv_written_earlier) return p_.dependent;
    const bool in_current = tile_ < current_.stop;
    const int tile = in_current ? tile_ : next_.first, tokens = in_current ? current_.tokens : next_.tokens;
    const int newest_page = p_.step.page_size.divide(max(tokens - 1, 0)) * static_cast<int>(p_.step.page_size.value);
    return (tile + 1) * kTileTokens <= newest_page || (!in_current && next_.stop == 0);
  }

  /// Issues K, and after it V, of the next tile of the run into `stage`; past the end, nothing. Each is a group of
  /// copies, empty or not, so that the number of groups in flight stays 2 * kStages.
  __device__ __forceinline__ void issue_keys(int stage) {
    if (tile_ >= current_.stop) advance();
    if (tile_ < current_.stop) copy(stage * R::kStageBytes, p_.k, k_at_, k_lane_);
    copy_async_commit();
  }
  __device__ __forceinline__ void issue_values(int stage) {
    if (tile_ < current_.stop) {
      copy(stage * R::kStageBytes + R::kTensorBytes, p_.v, v_at_, v_lane_);
      ++tile_;
    }
    copy_async_commit();
  }

 private:
  /// Tiles [first, stop) of one unit, as many as the lanes can hold granules of; stop == 0: past the end of the run.
  struct Group {
    int row;
    int unit;
    int tokens;
    int first;
    int stop;
  };

  [[nodiscard]] __device__ __forceinline__ int granule_log2() const {
    return Form::kUsual ? kTileLog2 : p_.step.granule_log2;
  }

  /// Says where next_ stops, of which the rest is known.
  __device__ __forceinline__ void close_next(bool live) {
    const int tokens = next_.row == end_.row && next_.unit == end_.unit ? end_.token : next_.tokens;
    const int tiles = (tokens + kTileTokens - 1) / kTileTokens;
    next_.stop = live ? min(tiles, next_.first + (2 << granule_log2())) : 0;
  }

  /// Starts loading the entries of next_.
  __device__ __forceinline__ void request() {
    const int granule = (next_.first << (kTileLog2 - granule_log2())) + lane_id();
    const int token = granule << granule_log2();
    if (token >= next_.tokens || next_.stop == 0) return;
    const int page = p_.step.page_size.divide(token);
    slot_ = token - page * static_cast<int>(p_.step.page_size.value);
    entry_ = load_entry<Form>(p_.step, table_base<Form>(p_.step, next_.row), page);
  }

  /// Makes the next group the current one, and finds the one after it.
  __device__ __forceinline__ void advance() {
    current_ = next_;
    tile_ = current_.first;
    if (current_.stop == 0) return;
    const std::int64_t page = page_of<Form>(p_.step, entry_);
    const int kv_head = HeadCut::kv_head(p_, current_.unit);
    const auto at = [&](const PagedParams& from) {
      return from.data + page * from.page_bytes + std::int64_t{slot_} * from.token_bytes + kv_head * from.head_bytes;
    };
    k_at_ = at(p_.k);
    v_at_ = at(p_.v);

    const bool at_end = Rows::kOneUnit || (current_.row == end_.row && current_.unit == end_.unit);
    next_.first = current_.stop;
    bool live = next_.first * kTileTokens < (at_end ? end_.token : current_.tokens);
    if (!live && !at_end) {
      next_.first = 0;
      if (++next_.unit == p_.step.num_units) {
        const Row row = rows_.next(next_.row);
        next_ = {row.row, 0, row.tokens, 0, 0};
      }
      live = begins_before(next_.row, next_.unit, end_);
    }
    close_next(live);
    request();
  }

  /// Slots past the row's end are not read: whatever is there, 0 * NaN would be NaN.
  __device__ __forceinline__ void copy(int to, const PagedParams& from, const char* at, int lane_bytes) const {
    const int valid = current_.tokens - tile_ * kTileTokens;
    const int in_group = tile_ - current_.first;
    if (granule_log2() == kTileLog2) {
      copy_tile(ring_ + to, of_lane(at, in_group), from.token_bytes, lane_bytes, valid);
    } else {
      copy_granules(ring_ + to, from.token_bytes, at, in_group << (kTileLog2 - granule_log2()), valid);
    }
  }

  __device__ __forceinline__ static const char* of_lane(const char* at, int lane) {
    return reinterpret_cast<const char*>(__shfl_sync(kAllLanes, reinterpret_cast<std::uintptr_t>(at), lane));
  }

  /// Where a lane always copies the same chunk of a token, all that differs between its copies are constants: two
  /// instructions each.
  __device__ __forceinline__ void copy_tile(std::uint32_t to, const char* tile, int token_bytes, int lane_bytes,
                                            int valid) const {
    const std::uint64_t policy = read_once_policy();
    if constexpr (kFixedChunk) {
      constexpr int kTokens = 32 / kChunks;  // at a time
      const std::uint32_t to_lane = to + to_lane_;
      const char* from_lane = tile + lane_bytes;
      const int left = valid - lane_id() / kChunks;
#pragma unroll
      for (int first = 0; first < kTileTokens; first += kTokens)
        copy_async_16((to_lane ^ (first % 8 * 16)) + first * R::kPitchBytes,
                      from_lane + static_cast<std::uint64_t>(static_cast<std::uint32_t>(token_bytes)) * first,
                      first < left, policy);
    } else {
#pragma unroll
      for (int i = 0; i < kChunks / 2; ++i) {
        const int id = i * 32 + lane_id(), token = id / kChunks, chunk = id % kChunks;
        copy_async_16(R::at(to, token, chunk), tile + std::int64_t{token} * token_bytes + chunk * 16, token < valid,
                      policy);
      }
    }
  }

  /// The same for pages that are not whole tiles.
  __device__ __forceinline__ void copy_granules(std::uint32_t to, int token_bytes, const char* at, int first,
                                                int valid) const {
    const std::uint64_t policy = read_once_policy();
#pragma unroll 2
    for (int i = 0; i < kChunks / 2; ++i) {
      const int id = i * 32 + lane_id(), token = id / kChunks, chunk = id % kChunks;
      const int inside = token & ((1 << granule_log2()) - 1);
      const char* granule = of_lane(at, first + (token >> granule_log2()));
      copy_async_16(R::at(to, token, chunk), granule + std::int64_t{inside} * token_bytes + chunk * 16, token < valid,
                    policy);
    }
  }

  static constexpr int kChunks = kHeadDim / 8;  // of a token, 16 bytes each
  static constexpr bool kFixedChunk = R::kPermuted && 32 % kChunks == 0;

  const Params& p_;
  const Rows& rows_;
  Place end_;
  std::uint32_t ring_;
  // Of this lane, made once and not for each tile: where in a tensor of the ring it copies to, and from where in a
  // tile.
  std::uint32_t to_lane_ = 0;
  int k_lane_ = 0;
  int v_lane_ = 0;
  Group current_ = {0, 0, 0, 0, 0};
  Group next_;
  int tile_ = 0;  // the next to issue, of current_
  // Of this lane's granule: where it lies (of current_), and its entry in the table (of next_).
  const char* k_at_ = nullptr;
  const char* v_at_ = nullptr;
  std::int64_t entry_ = 0;
  int slot_ = 0;
};

}  // namespace pkv::cuda
