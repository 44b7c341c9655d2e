#pragma once

// Lengths, page table and row ids as callers hold them. They are trusted to be readable, not to be right.

#include "params.hpp"
#include "ptx.cuh"

namespace pkv::cuda {

__device__ __forceinline__ std::int64_t load_index(const IndexParams& array, std::int64_t i) {
  return array.is_i64 ? __ldg(static_cast<const long long*>(array.data) + i)
                      : __ldg(static_cast<const int*>(array.data) + i);
}

/// Rare, and a dozen instructions at every place where it stands, were it not a function: what a short step waits for
/// is largely instructions.
static __device__ __noinline__ void flag(unsigned* errors, unsigned bit) { set_bits(errors, bit); }

/// Tokens of a row, from 0 to what its table row holds. Every form, and lengths that are too great.
static __device__ __noinline__ int row_tokens_of_any_form(const StepParams& step, int row) {
  std::int64_t tokens = load_index(step.lengths, step.cumulative ? row + 1 : row) + step.length_delta;
  if (step.cumulative) tokens -= load_index(step.lengths, row);
  std::int64_t most = step.max_row_tokens;
  if (step.row_offsets.data != nullptr) {
    const std::int64_t first = load_index(step.row_offsets, row);
    std::int64_t readable = load_index(step.row_offsets, row + 1);
    readable = (readable < step.num_entries ? readable : step.num_entries) - (first > 0 ? first : 0);
    const std::int64_t pages = readable > 0 ? step.entry_stride.divide(readable - 1) + 1 : 0;
    most = pages * step.page_size.value < most ? pages * step.page_size.value : most;
  }
  if (tokens > most) flag(step.errors, kLengthOverCapacity);
  tokens = tokens < most ? tokens : most;
  return tokens > 0 ? static_cast<int>(tokens) : 0;
}

/// Tokens of a row, from 0 to what its table row holds.
template <class Form>
__device__ __forceinline__ int row_tokens(const StepParams& step, int row) {
  const bool plain = Form::kUsual || step.plain_lengths;
  int tokens = 0;
  if (plain) tokens = __ldg(static_cast<const int*>(step.lengths.data) + row);
  if (__builtin_expect(!plain || tokens > step.max_row_tokens, 0)) return row_tokens_of_any_form(step, row);
  return max(tokens, 0);
}

/// A row that is not empty; {batch, 0} after the last.
struct Row {
  int row;
  int tokens;
};

/// Where the row's entries begin.
template <class Form>
__device__ __forceinline__ std::int64_t table_base(const StepParams& step, int row) {
  if constexpr (Form::kUsual) return row * step.row_stride;
  if (step.row_offsets.data != nullptr) return load_index(step.row_offsets, row);
  return (step.row_ids.data != nullptr ? load_index(step.row_ids, row) : row) * step.row_stride;
}

/// The entry that names page j of the row whose entries begin at `base`.
template <class Form>
__device__ __forceinline__ std::int64_t load_entry(const StepParams& step, std::int64_t base, std::int64_t j) {
  std::int64_t at = base + (Form::kUsual ? j : j * step.entry_stride.value);
  if (at < 0 || at >= step.num_entries) {
    flag(step.errors, kTableOutOfRange);
    at = 0;
  }
  if constexpr (Form::kUsual) return __ldg(static_cast<const int*>(step.entries.data) + at);
  return load_index(step.entries, at);
}

/// The page that an entry names.
template <class Form>
__device__ __forceinline__ std::int64_t page_of(const StepParams& step, std::int64_t entry) {
  std::int64_t page = entry;
  if (!Form::kUsual && step.entry_divisor.value != 1 && entry >= 0)
    page = step.entry_divisor.divide(entry & std::int64_t{0xfffffffffffff});
  if (page < 0 || page >= step.num_pages) {
    flag(step.errors, kPageOutOfRange);
    page = 0;
  }
  return page;
}

/// The row of q or out that serves `row`, or -1.
template <class Form>
__device__ __forceinline__ std::int64_t tensor_row(const RowsParams& rows, int row, unsigned* errors) {
  if (Form::kUsual || rows.row_ids.data == nullptr) return row;
  const std::int64_t id = load_index(rows.row_ids, row);
  if (id >= 0 && id < rows.num_rows) return id;
  flag(errors, kRowIdOutOfRange);
  return -1;
}

/// Which query heads a unit of a row has.
struct Unit {
  int kv_head;
  int first_head;
  int heads;
};

/// Which of a unit's query heads a CTA does: all, or those of one half, where a group is one unit. Then the next CTA
/// does the other half.
template <bool kHalved>
struct HeadCut {
  __device__ __forceinline__ static int half_of(int cta) { return cta & 1; }
  template <class Params>
  __device__ __forceinline__ static int heads_per_unit(const Params& p) {
    return kHalved ? (p.heads_per_unit + 1) / 2 : p.heads_per_unit;
  }
  template <class Params>
  __device__ __forceinline__ static int kv_head(const Params& p, int unit) {
    return kHalved || Params::Form::kUsual || p.chunks == 1 ? unit : unit / p.chunks;
  }
  template <class Params>
  __device__ __forceinline__ static Unit unit(const Params& p, int index) {
    if (!kHalved && (Params::Form::kUsual || p.chunks == 1)) return {index, index * p.group_size, p.group_size};
    const int head = kv_head(p, index);
    const int first = (kHalved ? half_of(static_cast<int>(blockIdx.x)) : index - head * p.chunks) * heads_per_unit(p);
    return {head, head * p.group_size + first, min(heads_per_unit(p), p.group_size - first)};
  }
};

}  // namespace pkv::cuda
