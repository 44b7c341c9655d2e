#pragma once

// What crosses from the host to the kernels, by value. Strides are in bytes.

#include "arith/stream.hpp"
#include "persistentkv/cuda/timeline.hpp"

#include <cstdint>

namespace pkv::cuda {

inline constexpr int kMaxWarps = 8;  ///< of a CTA
/// Of a CTA with a listed plan: an SM holds several, of which one reads while another merges.
inline constexpr int kListedWarps = 4;
inline constexpr int kMaxHeadsPerUnit = 16;
inline constexpr int kTileLog2 = 4;
inline constexpr int kTileTokens = 1 << kTileLog2;  ///< the rows of an MMA

/// An array of int32 or int64; null: absent.
struct IndexParams {
  const void* data = nullptr;
  bool is_i64 = false;
};

/// Bits of the error word: what a kernel found in device-resident indices, and put right as far as it must so that it
/// reads and writes nothing but the caller's memory.
enum DeviceErrorBits : unsigned {
  kLengthOverCapacity = 1,  ///< the length was cut to what the table's row holds
  kPageOutOfRange = 2,      ///< page 0 was read instead
  kTableOutOfRange = 4,     ///< an entry inside the table was read instead
  kRowIdOutOfRange = 8,     ///< row 0 of q was read instead; nothing was written to out
};

/// Lengths and page table: PageTableView and LengthsView for the device. In the order in which a kernel asks for them:
/// each 128 bytes of parameters that it touches for the first time cost a short step 0.1 us.
struct StepParams {
  int batch = 0;
  int num_units = 0;  ///< of a row: KV heads times chunks
  int max_row_tokens = 0;
  int prefetch_lines = 0;     ///< of the entries, 128 bytes each, worth having in L2 before anybody asks
  bool plain_lengths = true;  ///< lengths are int32, one a row, nothing added, and the table is rectangular
  bool cumulative = false;
  int granule_log2 = 0;  ///< tokens that surely share a page: the largest power of two up to 16 that divides page_size
  IndexParams lengths;
  IndexParams entries;
  IndexParams row_ids;
  IndexParams row_offsets;  ///< CSR
  std::int64_t num_entries = 0;
  std::int64_t row_stride = 0;
  std::int64_t num_pages = 0;
  arith::Divisor page_size;
  arith::Divisor entry_stride;
  arith::Divisor entry_divisor;
  std::int64_t length_delta = 0;
  unsigned* errors = nullptr;
};

/// K or V.
struct PagedParams {
  const char* data = nullptr;
  std::int64_t page_bytes = 0;
  std::int64_t head_bytes = 0;
  int token_bytes = 0;
};

/// q or out.
struct RowsParams {
  char* data = nullptr;
  std::int64_t row_bytes = 0;
  std::int64_t head_bytes = 0;
  std::int64_t num_rows = 0;
  IndexParams row_ids;
};

struct LseParams {
  float* data = nullptr;  ///< null: not wanted
  std::int64_t row_stride = 0;
  std::int64_t head_stride = 0;
  float log2_factor = 1.0f;  ///< turns the log2 of a sum into the base asked for
};

/// Unmerged states, in FP32. Slot s, head g of the unit: acc[(s * pitch + g) * head_dim], max_sum[s * pitch + g], where
/// pitch is 8 times the kernel's blocks of heads.
struct PartialsParams {
  float* acc = nullptr;
  float2* max_sum = nullptr;     ///< running max of log2-scaled scores, sum of exponentials
  unsigned* arrivals = nullptr;  ///< zero between launches
};

/// What is known of all steps that a kernel is compiled for: nothing.
struct AnyForm {
  static constexpr bool kUsual = false;
  static constexpr int kMostRows = INT32_MAX;
};

/// Lengths are int32, one a row, nothing added; the table is rectangular, of int32, a row for each of the step's, with
/// an entry a page that is its number; pages are whole tiles; a group of query heads is one unit; q and out are
/// without row ids, out of 16 bits; and costs stay below 2^31. A kernel that need not ask for any of it has no code to
/// jump over: 1 us of every step (docs/design/cuda-engine.md).
template <int kRows>
struct UsualForm {
  static constexpr bool kUsual = true;
  static constexpr int kMostRows = kRows;
};

/// One layer of a step, for kernels that decode.
struct DecodeParams {
  using Form = AnyForm;
  StepParams step;
  PagedParams k;
  PagedParams v;
  int group_size = 1;
  int chunks = 1;          ///< a unit is one KV head and at most heads_per_unit of its query heads
  int heads_per_unit = 1;  ///< the last chunk of a group may have fewer
  float scale_log2 = 1.0f;
  bool out_is_f32 = false;
  bool dependent = false;           ///< launched while the kernel ahead may still run
  bool kv_written_earlier = false;  ///< but that one writes nothing of K and V
  RowsParams q;
  PartialsParams partials;
  RowsParams out;
  LseParams lse;
};

/// The same, of a form that the kernel knows.
template <class KnownForm>
struct KnownParams : DecodeParams {
  using Form = KnownForm;
};
static_assert(sizeof(KnownParams<AnyForm>) == sizeof(DecodeParams));  // the host passes DecodeParams to every kernel

/// `stream`: all that there is to plan with.
struct StreamParams {
  arith::Divisor workers;  ///< CTAs, but of steps for which RareCuts has others
  arith::Divisor warps;    ///< of a CTA
  arith::Divisor tile_tokens;
  arith::WholeUnits whole;  ///< if all rows are alike, and not too long
  int segment_cost_tokens = 0;
  int min_run_tokens = 0;
  int ahead_tokens = 0;
  int uncut_tokens = 0;
  bool wide = false;       ///< costs may reach 2^31
  bool may_halve = false;  ///< of a short step, each unit may be two CTAs', for half of the heads
  std::uint16_t long_step_kilotokens = UINT16_MAX;  ///< of all units, 1024 each: from so many on, RareCuts has the cut
};

/// `stream`: cuts that few steps have. Apart, so that most ask for none of it.
struct RareCuts {
  arith::Divisor half_workers;     ///< pairs of CTAs, where StreamParams::may_halve
  arith::WholeUnits whole_halves;  ///< for so many
  int whole_unit_tokens = 0;
  arith::Divisor long_workers;  ///< CTAs of a long step; where it is cut as others are, theirs
  int long_whole_unit_tokens = 0;
};

/// A segment of a listed plan. Slots are numbered as merges read them: the parts of one have neighbouring slots.
struct ListedSegment {
  std::int32_t row;
  std::int32_t kv_head;
  std::int32_t token_begin;
  std::int32_t token_end;
  std::int32_t slot;            // -1: it is the whole row and head
  std::int32_t merge = -1;      // whose part it is; -1: none, or one that a launch of its own merges
  std::int32_t merge_slot = 0;  // of its first part
  std::int32_t merge_parts = 0;
  // The parts that are added up first, this one among them: all, or a group of neighbours, whose first part's counters
  // and place it takes.
  std::int32_t group_slot = 0;
  std::int32_t group_parts = 0;
  std::int32_t group_size = 0;  // of each group but the last
};

struct ListedMerge {
  std::int32_t row;
  std::int32_t kv_head;
  std::int32_t slot;  // of the first part
  std::int32_t parts;
};

/// A plan that the host has made, on the device. Chunks of a group are further workers, and further slots.
struct ListParams {
  const ListedSegment* segments = nullptr;
  const std::int32_t* worker_offsets = nullptr;
  const ListedMerge* merges = nullptr;
  std::int32_t first = 0;      ///< of this launch: workers, or merges
  std::int32_t count = 0;      ///< of this launch
  std::int32_t num_slots = 0;  ///< of a chunk
  std::int32_t num_merges = 0;
  arith::Divisor warps;  ///< of a CTA
  bool write_empty_rows = false;
};

/// Where the warps of one launch put their stamps.
struct TimelineParams {
  CudaTimeline buffer;
  std::int32_t launch = 0;
  std::int32_t first_warp = 0;  ///< in the buffer
};

/// Parameters of a kernel that stamps: see probe.cuh.
template <class Params>
struct Probed : Params {
  TimelineParams timeline;
};

}  // namespace pkv::cuda
