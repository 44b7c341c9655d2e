#include "launch_params.hpp"

#include "cuda_support/check.hpp"
#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace pkv::cuda {

namespace {

constexpr std::int64_t kPrefetchBytes = 512 << 10;  // 0.1 us of an H200's bandwidth

std::size_t size_bytes(const IndexView& view) {
  return static_cast<std::size_t>(view.size) * (view.type == IndexType::kI64 ? 8 : 4);
}

PagedParams describe_paged(CudaContext& context, const char* name, const PagedTensorView& view, const Step& step) {
  if (step.num_pages == 0) return {};  // nothing is read
  const std::int64_t size = pkv::size_bytes(step.dtype);
  context.pointers().require_tensor(name, view.data);
  require_aligned(name, "page_stride", view.page_stride * size);
  if (step.page_size > 1) require_aligned(name, "token_stride", view.token_stride * size);
  if (step.shape.num_kv_heads > 1) require_aligned(name, "head_stride", view.head_stride * size);
  const std::int64_t token_bytes = step.page_size > 1 ? view.token_stride * size : 0;
  if (token_bytes > INT32_MAX)
    throw Unsupported(fmt::format("{}.token_stride is {} bytes, must be below 2^31", name, token_bytes));
  return {static_cast<const char*>(view.data), view.page_stride * size,
          step.shape.num_kv_heads > 1 ? view.head_stride * size : 0, static_cast<int>(token_bytes)};
}

IndexParams describe_ids(CudaContext& context, const char* name, const IndexView& ids) {
  if (!ids) return {};
  if (ids.space != MemorySpace::kDevice)
    throw Unsupported(fmt::format("{}.row_ids are in host memory, must be on the device", name));
  context.pointers().require(name, ids.data);
  return {ids.data, ids.type == IndexType::kI64};
}

template <class View>
RowsParams describe_rows(CudaContext& context, const char* name, const View& view) {
  const std::int64_t size = pkv::size_bytes(view.dtype);
  context.pointers().require_tensor(name, view.data);
  require_aligned(name, "row_stride", view.row_stride * size);
  require_aligned(name, "head_stride", view.head_stride * size);
  RowsParams rows;
  rows.data = static_cast<char*>(const_cast<void*>(static_cast<const void*>(view.data)));
  rows.row_bytes = view.row_stride * size;
  rows.head_bytes = view.head_stride * size;
  rows.num_rows = view.num_rows;
  rows.row_ids = describe_ids(context, name, view.row_ids);
  return rows;
}

/// The longest row that a rectangular table has room for; of CSR tables the kernels find out themselves.
std::int64_t max_row_tokens(const Step& step) {
  if (step.num_pages == 0 || step.table.entries.size == 0) return 0;
  if (step.table.row_offsets) return kMaxRowTokens;
  const std::int64_t entries = step.table.entries_per_row;
  const std::int64_t pages = entries <= 0 ? 0 : (entries - 1) / step.table.entry_stride + 1;
  return std::min(pages, kMaxRowTokens / step.page_size + 1) * step.page_size;
}

}  // namespace

std::size_t Staging::add(const void* data, std::size_t size_bytes) {
  const std::size_t at = (bytes_.size() + 255) / 256 * 256;
  bytes_.resize(at + size_bytes);
  std::copy_n(static_cast<const unsigned char*>(data), size_bytes, bytes_.begin() + static_cast<std::ptrdiff_t>(at));
  return at;
}

StepOnDevice::StepOnDevice(const std::shared_ptr<CudaContext>& context, const Step& step, const GroupCut& group) {
  params_.batch = static_cast<int>(step.batch);
  params_.num_units = step.shape.num_kv_heads * group.chunks;
  params_.max_row_tokens = static_cast<int>(std::min(max_row_tokens(step), kMaxRowTokens));
  params_.plain_lengths = step.lengths.values.type == IndexType::kI32 && !step.lengths.cumulative &&
                          step.lengths.delta == 0 && !step.table.row_offsets;
  params_.cumulative = step.lengths.cumulative;
  params_.length_delta = step.lengths.delta;
  params_.num_entries = step.table.entries.size;
  params_.row_stride = step.table.row_stride;
  params_.num_pages = step.num_pages;
  params_.entry_stride = arith::Divisor(step.table.entry_stride);
  params_.entry_divisor = arith::Divisor(step.table.entry_divisor);
  params_.page_size = arith::Divisor(step.page_size);
  params_.granule_log2 = std::min(kTileLog2, std::countr_zero(static_cast<unsigned>(step.page_size)));

  struct Array {
    const char* name;
    const IndexView& from;
    IndexParams& to;
    std::size_t offset = 0;
  };
  std::array<Array, 4> arrays{{{"lengths", step.lengths.values, params_.lengths},
                               {"page_table.entries", step.table.entries, params_.entries},
                               {"page_table.row_offsets", step.table.row_offsets, params_.row_offsets},
                               {"page_table.row_ids", step.table.row_ids, params_.row_ids}}};
  Staging staging;
  for (Array& array : arrays) {
    if (!array.from) continue;
    array.to = {array.from.data, array.from.type == IndexType::kI64};
    if (array.from.space == MemorySpace::kHost)
      array.offset = staging.add(array.from.data, size_bytes(array.from));
    else
      context->pointers().require(array.name, array.from.data);
  }
  if (!staging.bytes().empty()) {
    // Sizes of a power of two, so that steps of about the same size share their memory.
    memory_ = Leased(context, std::bit_ceil(staging.bytes().size()));
    context->upload(memory_.data(), staging.bytes().data(), staging.bytes().size());
    for (const Array& array : arrays)
      if (array.from && array.from.space == MemorySpace::kHost) array.to.data = memory_.data() + array.offset;
  }
  if (step.table.entries) {
    const auto bytes = static_cast<std::int64_t>(size_bytes(step.table.entries));
    params_.prefetch_lines = bytes <= kPrefetchBytes ? static_cast<int>(bytes / 128) : 0;
  }
}

DecodeParams describe(CudaContext& context, const Step& step, const GroupCut& group, const Layer& layer,
                      const CudaRunOptions& options) {
  layer.validate(step);
  DecodeParams p;
  p.k = describe_paged(context, "k", layer.kv.k, step);
  p.v = describe_paged(context, "v", layer.kv.v, step);
  p.q = describe_rows(context, "q", layer.q);
  p.out = describe_rows(context, "out", layer.out);
  if (layer.lse) {
    context.pointers().require("lse", layer.lse->data);
    p.lse = {layer.lse->data, layer.lse->row_stride, layer.lse->head_stride,
             layer.lse->base == LseBase::kNatural ? std::numbers::ln2_v<float> : 1.0f};
  }
  p.group_size = step.shape.group_size();
  p.chunks = group.chunks;
  p.heads_per_unit = group.heads_per_unit;
  p.scale_log2 = static_cast<float>(step.shape.scale() * std::numbers::log2e);
  p.out_is_f32 = layer.out.dtype == DType::kF32;
  p.dependent = options.programmatic_dependent_launch && context.chains();
  p.kv_written_earlier = options.kv_written_earlier;
  return p;
}

StepForm form_of(const StepParams& step, const GroupCut& group, bool wide) noexcept {
  const bool usual = !wide && step.plain_lengths && !step.entries.is_i64 && step.row_ids.data == nullptr &&
                     step.entry_stride.value == 1 && step.entry_divisor.value == 1 &&
                     1 << step.granule_log2 == kTileTokens && group.chunks == 1;
  if (!usual) return StepForm::kAny;
  return step.batch <= kFewRows ? StepForm::kUsualFewRows : StepForm::kUsual;
}

bool is_usual(const DecodeParams& layer) noexcept {
  return layer.q.row_ids.data == nullptr && layer.out.row_ids.data == nullptr && !layer.out_is_f32;
}

ExecutedCounters counters_of(const WorkPlan& plan, int page_size) {
  const PlanCounters& c = plan.counters();
  return {c.launches,
          c.merge_launches,
          c.decode_ctas,
          c.segments,
          c.partials,
          c.merge_bytes,
          c.kv_tokens * plan.num_kv_heads(),
          plan.reserved_pages(page_size)};
}

const DecodeKernels& timeline_kernels(const Step& step) {
  if (const DecodeKernels* kernels = find_timeline_kernels(step.dtype, step.shape.head_dim)) return *kernels;
  throw Unsupported(fmt::format(
      "dtype is {} and head_dim {}, must be fp16 and 128 where a timeline is wanted: no others have kernels "
      "that stamp",
      to_string(step.dtype), step.shape.head_dim));
}

}  // namespace pkv::cuda
