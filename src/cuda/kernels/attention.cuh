#pragma once

// One warp, one tile: 16 tokens of K and V against up to 8 * kBlocks query heads, on tensor cores.
//
// K is the A operand of an m16n8k16 product and q^T the B operand, then V^T is A and P is B: the side of 16 is full of
// tokens or of dimensions, and only the side of 8 is padded where the group is smaller. A fragment's lane is 4 * r + c.

#include "probe.cuh"
#include "tile_feeder.cuh"

namespace pkv::cuda {

/// Below every score, and no infinity: differences of two of them are 0, not NaN.
inline constexpr float kLowest = -1.7e38f;

/// q of a unit, as B operands.
template <int kHeadDim, int kBlocks>
struct QueryFragments {
  std::uint32_t b[kBlocks][kHeadDim / 8];
};

/// Unnormalised result of a segment; [.][e] belongs to head 8 * block + 2 * c + e.
template <int kHeadDim, int kBlocks>
struct State {
  float max[kBlocks]
           [2];  // running reference, about the maximum, the same in all lanes of a head; of log2-scaled scores
  float sum[kBlocks][2];                 // this lane's share
  float acc[kBlocks][kHeadDim / 16][4];  // dim 16 * j + r, and 8 more for [2..3]

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int n = 0; n < kBlocks; ++n) {
      max[n][0] = max[n][1] = kLowest;
      sum[n][0] = sum[n][1] = 0.0f;
#pragma unroll
      for (int j = 0; j < kHeadDim / 16; ++j)
#pragma unroll
        for (int x = 0; x < 4; ++x) acc[n][j][x] = 0.0f;
    }
  }

  /// Adds up the lanes' shares of the sums.
  __device__ __forceinline__ void finish() {
#pragma unroll
    for (int n = 0; n < kBlocks; ++n)
#pragma unroll
      for (int e = 0; e < 2; ++e)
#pragma unroll
        for (int x = 4; x < 32; x <<= 1) sum[n][e] += __shfl_xor_sync(kAllLanes, sum[n][e], x);
  }
};

/// Through L1, which serves the CTA's other warps: past it, all warps of all CTAs would meet on a few sectors of L2.
template <int kHeadDim, int kBlocks, class Params>
__device__ __forceinline__ void load_query(QueryFragments<kHeadDim, kBlocks>& q, const Params& p, int row,
                                           const Unit& unit) {
  const std::int64_t q_row = tensor_row<typename Params::Form>(p.q, row, p.step.errors);
  const int r = lane_id() >> 2, c = lane_id() & 3;
  const char* base = p.q.data + (q_row < 0 ? 0 : q_row) * p.q.row_bytes + c * 4;
#pragma unroll
  for (int n = 0; n < kBlocks; ++n) {
    const int head = min(8 * n + r, unit.heads - 1);  // what comes of heads past the last is not used
    const char* from = base + (unit.first_head + head) * p.q.head_bytes;
#pragma unroll
    for (int i = 0; i < kHeadDim / 8; ++i) q.b[n][i] = *reinterpret_cast<const std::uint32_t*>(from + 16 * i);
  }
}

/// Where there are no registers to load q early.
template <int kHeadDim, class Params>
__device__ __forceinline__ void prefetch_query(const Params& p, int row, const Unit& unit) {
  constexpr int kLines = (kHeadDim * 2 + 127) / 128;  // of a head
  const std::int64_t q_row = tensor_row<typename Params::Form>(p.q, row, p.step.errors);
  const char* base = p.q.data + (q_row < 0 ? 0 : q_row) * p.q.row_bytes + unit.first_head * p.q.head_bytes;
  for (int line = lane_id(); line < unit.heads * kLines; line += 32)
    prefetch_l2(base + line / kLines * p.q.head_bytes + line % kLines * 128);
}

/// Where in a tensor of the ring a lane reads its rows of the A operand: of K, and of V^T.
template <int kHeadDim>
__device__ __forceinline__ std::uint32_t key_row() {
  return Ring<kHeadDim, 1>::at(0, lane_id() & 15, lane_id() >> 4);
}
template <int kHeadDim>
__device__ __forceinline__ std::uint32_t value_row() {
  return Ring<kHeadDim, 1>::at(0, (lane_id() & 7) + ((lane_id() >> 4) << 3), (lane_id() >> 3) & 1);
}

template <class T, int kHeadDim, int kBlocks>
__device__ __forceinline__ void multiply_keys(float (&scores)[kBlocks][4], std::uint32_t row,
                                              const QueryFragments<kHeadDim, kBlocks>& q) {
  float odd[kBlocks][4];  // a second chain: a lone warp waits for the latency of the first
#pragma unroll
  for (int n = 0; n < kBlocks; ++n)
#pragma unroll
    for (int x = 0; x < 4; ++x) scores[n][x] = odd[n][x] = 0.0f;
#pragma unroll
  for (int i = 0; i < kHeadDim / 16; ++i) {
    std::uint32_t a[4];
    load_matrices(a, Ring<kHeadDim, 1>::chunks_on(row, 2 * i));
#pragma unroll
    for (int n = 0; n < kBlocks; ++n)
      Packed<T>::multiply((i & 1) != 0 ? odd[n] : scores[n], a, q.b[n][2 * i], q.b[n][2 * i + 1]);
  }
#pragma unroll
  for (int n = 0; n < kBlocks; ++n)
#pragma unroll
    for (int x = 0; x < 4; ++x) scores[n][x] += odd[n][x];
}

/// P as the B operand of the second product, which is of 16-bit factors: rounded, and beside it what rounding took
/// away, rounded too.
template <int kBlocks>
struct Weights {
  std::uint32_t rounded[kBlocks][2];
  std::uint32_t rest[kBlocks][2];
};

/// Scores of tokens [first, last) of the tile become P, packed as the B operand of the second product. The running
/// maximum is lazy: it moves only when a score beats it by 2^14, and then to 2^8 below that score, so that most tiles
/// skip the shuffles and the rescaling. P is then up to 2^14, which fp16 holds, and the weights of tokens that a
/// dominant one outweighs by far have 8 bits more than below a maximum of 1.
template <class T, int kHeadDim, int kBlocks>
__device__ __forceinline__ void softmax(State<kHeadDim, kBlocks>& state, float (&scores)[kBlocks][4], int first,
                                        int last, float scale_log2, Weights<kBlocks>& weights) {
  constexpr float kSlack = 14.0f, kHeadroom = 8.0f;
  const int r = lane_id() >> 2;
  const bool low = r >= first && r < last, high = r + 8 >= first && r + 8 < last;
#pragma unroll
  for (int n = 0; n < kBlocks; ++n) {
#pragma unroll
    for (int x = 0; x < 4; ++x) scores[n][x] = (x < 2 ? low : high) ? scores[n][x] * scale_log2 : -INFINITY;
    float top[2] = {fmaxf(scores[n][0], scores[n][2]), fmaxf(scores[n][1], scores[n][3])};
    if (__any_sync(kAllLanes, top[0] > state.max[n][0] + kSlack || top[1] > state.max[n][1] + kSlack)) {
#pragma unroll
      for (int e = 0; e < 2; ++e) {
#pragma unroll
        for (int x = 4; x < 32; x <<= 1) top[e] = fmaxf(top[e], __shfl_xor_sync(kAllLanes, top[e], x));
        const float max = fmaxf(state.max[n][e], top[e] - kHeadroom);
        const float factor = fast_exp2(state.max[n][e] - max);
        state.max[n][e] = max;
        state.sum[n][e] *= factor;
#pragma unroll
        for (int j = 0; j < kHeadDim / 16; ++j) {
          state.acc[n][j][e] *= factor;
          state.acc[n][j][2 + e] *= factor;
        }
      }
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float low_head = fast_exp2(scores[n][2 * half] - state.max[n][0]);
      const float high_head = fast_exp2(scores[n][2 * half + 1] - state.max[n][1]);
      state.sum[n][0] += low_head;
      state.sum[n][1] += high_head;
      const std::uint32_t rounded = Packed<T>::pack(low_head, high_head);
      const float2 taken = Packed<T>::unpack(rounded);
      weights.rounded[n][half] = transpose_matrix(rounded);
      weights.rest[n][half] = transpose_matrix(Packed<T>::pack(low_head - taken.x, high_head - taken.y));
    }
  }
}

template <class T, int kHeadDim, int kBlocks>
__device__ __forceinline__ void multiply_values(State<kHeadDim, kBlocks>& state, std::uint32_t row,
                                                const Weights<kBlocks>& weights) {
#pragma unroll
  for (int j = 0; j < kHeadDim / 16; ++j) {
    std::uint32_t a[4];
    load_matrices_transposed(a, Ring<kHeadDim, 1>::chunks_on(row, 2 * j));
#pragma unroll
    for (int n = 0; n < kBlocks; ++n) {
      Packed<T>::multiply(state.acc[n][j], a, weights.rounded[n][0], weights.rounded[n][1]);
      Packed<T>::multiply(state.acc[n][j], a, weights.rest[n][0], weights.rest[n][1]);
    }
  }
}

/// Attends a warp's run, which must not be empty, segment by segment, with no barrier: on_segment(place, token_end,
/// state) is given each segment's result. Waits for the kernel ahead before the first tile that it may write, and
/// before q. K's half of a stage is filled again as soon as the scores are there, V's when its product is.
///
/// Filling the ring and walking on are turns of one loop, so that the code that issues copies stands there once: what a
/// short step waits for is largely instructions.
template <class T, int kHeadDim, int kBlocks, int kStages, class HeadCut, class Params, class Rows, class OnFilled,
          class OnSegment, class Probe>
__device__ __forceinline__ void attend_run(const Params& p, const Rows& rows, const Place& begin, const Place& end,
                                           std::uint32_t ring, OnFilled on_filled, OnSegment on_segment, Probe& probe) {
  using R = Ring<kHeadDim, kStages>;
  std::uint32_t key_lane = 0, value_lane = 0;
  not_before(ring);
  constexpr bool kEarlyQuery = kBlocks * kHeadDim <= 128;  // beyond, it would take more registers than there are
  TileFeeder<kHeadDim, kStages, Params, Rows, HeadCut> feeder(p, rows, begin, end, ring);
  QueryFragments<kHeadDim, kBlocks> q;
  State<kHeadDim, kBlocks> state;
  state.clear();
  Place at = begin;
  const auto is_last = [&](const Place& place) {
    return Rows::kOneUnit || (place.row == end.row && place.unit == end.unit);
  };
  int token = at.token / kTileTokens * kTileTokens, token_end = is_last(at) ? end.token : at.tokens;
  int to_fill = kStages, stage = 0;
  bool waited = false;
  // The first turn fills the ring, each further one attends a segment.
#pragma unroll 1
  while (true) {
    // The segment after this one, and its q, which is loaded a segment early. Both live in this turn alone: were they
    // to pass from one turn to the next, they would move from register to register there, and wait for q to arrive.
    Place next;
    QueryFragments<kHeadDim, kBlocks> next_q;
    const bool fills = to_fill > 0;
    bool last = is_last(at);
    if (!fills && !last) {
      next = {at.row, at.unit + 1, 0, at.tokens};
      if (next.unit == p.step.num_units) {
        const Row row = rows.next(at.row);
        next = {row.row, 0, 0, row.tokens};
      }
      last = !begins_before(next.row, next.unit, end);  // whatever becomes of lengths meanwhile
      if (!last) {
        if constexpr (kEarlyQuery) {
          load_query(next_q, p, next.row, HeadCut::unit(p, next.unit));
        } else {
          prefetch_query<kHeadDim>(p, next.row, HeadCut::unit(p, next.unit));
        }
      }
    }
#pragma unroll 1
    do {
      if (!waited && (!fills || !feeder.next_is_old())) {
        wait_for_kernel_ahead();
        load_query(q, p, at.row, HeadCut::unit(p, at.unit));
        waited = true;
      }
      const std::uint32_t tile = ring + stage * R::kStageBytes;
      float scores[kBlocks][4];
      if (!fills) {
        copy_async_wait<2 * kStages - 1>();
        __syncwarp();
        probe.stamp_first_data();
        multiply_keys<T>(scores, tile + key_lane, q);
        __syncwarp();
      }
      feeder.issue_keys(stage);
      if (!fills) {
        Weights<kBlocks> weights;
        softmax<T>(state, scores, at.token - token, token_end - token, p.scale_log2, weights);
        copy_async_wait<2 * kStages - 1>();
        __syncwarp();
        multiply_values<T>(state, tile + value_lane, weights);
        __syncwarp();
        token += kTileTokens;
      } else {
        --to_fill;
      }
      feeder.issue_values(stage);
      stage = stage + 1 == kStages ? 0 : stage + 1;
    } while (fills ? to_fill > 0 : token < token_end);
    if (fills) {
      on_filled();
      key_lane = key_row<kHeadDim>();
      value_lane = R::kTensorBytes + value_row<kHeadDim>();
      not_before(key_lane);  // in registers from here on, and not made again for each tile
      not_before(value_lane);
      continue;
    }

    state.finish();
    on_segment(at, token_end, state);
    if (last) return;
    at = next;
    if constexpr (kEarlyQuery) {
      q = next_q;
    } else {
      load_query(q, p, at.row, HeadCut::unit(p, at.unit));
    }
    token = 0;
    token_end = is_last(at) ? end.token : at.tokens;
    state.clear();
  }
}

}  // namespace pkv::cuda
