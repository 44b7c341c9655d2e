#include "flashinfer_step.hpp"

#include "adapters.hpp"
#include "cuda_support/check.hpp"
#include "cuda_support/memory.hpp"
#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numbers>
#include <utility>

namespace pkv::fi {

namespace {

constexpr std::int64_t k2To32 = std::int64_t{1} << 32;
constexpr int kMaxCtasOfSm = 16;  // of 128 threads

using cuda::aligned;

void require_below(const char* what, std::int64_t value, std::int64_t bound) {
  if (value >= bound) throw Unsupported(fmt::format("{} is {}, must be below {} for FlashInfer", what, value, bound));
}

/// One set of strides for K and V, in 32 bits.
std::uint32_t stride(const char* name, std::int64_t k, std::int64_t v, bool used) {
  if (!used) return 0;
  if (k != v) {
    throw Unsupported(fmt::format("k.{} is {} and v.{} is {}, must be the same for FlashInfer", name, k, name, v));
  }
  require_below(fmt::format("k.{}", name).c_str(), k, k2To32);
  return static_cast<std::uint32_t>(k);
}

template <class View>
Rows rows_of(const View& view) {
  return {const_cast<void*>(static_cast<const void*>(view.data)),
          view.row_stride,
          view.head_stride,
          view.num_rows,
          view.row_ids.data,
          view.row_ids.type == IndexType::kI64};
}

template <class View>
void require_rows(cuda::DevicePointers& pointers, const char* name, const View& view) {
  pointers.require_tensor(name, view.data);
  cuda::require_aligned(name, "row_stride", view.row_stride * size_bytes(view.dtype));
  cuda::require_aligned(name, "head_stride", view.head_stride * size_bytes(view.dtype));
  if (!view.row_ids) return;
  if (view.row_ids.space != MemorySpace::kDevice)
    throw Unsupported(fmt::format("{}.row_ids are in host memory, must be on the device", name));
  pointers.require(name, view.row_ids.data);
}

void require_paged(cuda::DevicePointers& pointers, const char* name, const PagedTensorView& view, const Step& step) {
  const std::int64_t size = size_bytes(step.dtype);
  pointers.require_tensor(name, view.data);
  cuda::require_aligned(name, "page_stride", view.page_stride * size);
  if (step.page_size > 1) cuda::require_aligned(name, "token_stride", view.token_stride * size);
  if (step.shape.num_kv_heads > 1) cuda::require_aligned(name, "head_stride", view.head_stride * size);
}

void copy_pages(const PageTableView& table, std::int64_t base, std::int64_t count, std::int32_t* to) {
  if (table.entries.type == IndexType::kI32 && table.entry_stride == 1 && table.entry_divisor == 1) {
    std::copy_n(static_cast<const std::int32_t*>(table.entries.data) + base, count, to);
    return;
  }
  for (std::int64_t j = 0; j < count; ++j) to[j] = static_cast<std::int32_t>(table.page(base, j));
}

/// FlashInfer multiplies strides of q in 32 bits.
bool fits_32_bits(const QueryView& q, std::int64_t batch, int heads) {
  return q.row_stride < INT32_MAX && q.head_stride < INT32_MAX && batch * q.row_stride + heads * q.head_stride < k2To32;
}

}  // namespace

WorkspaceLayout WorkspaceLayout::of(const Step& step, Route route, std::int64_t num_pages, int num_sms) {
  const auto batch = static_cast<std::size_t>(step.batch);
  const auto heads = static_cast<std::size_t>(step.shape.num_q_heads);
  const auto head_dim = static_cast<std::size_t>(step.shape.head_dim);
  const auto kv_heads = static_cast<std::size_t>(step.shape.num_kv_heads);
  const bool cuda_core = route == Route::kFlashInferCudaCore;
  // Planners split rows while there are CTAs left: at most so many work items, and a row's own.
  const std::size_t ctas = static_cast<std::size_t>(num_sms) * (cuda_core ? kMaxCtasOfSm : 2);
  const std::size_t items = ctas / kv_heads + batch;
  const std::size_t group = heads / kv_heads;
  const std::size_t tile = cuda_core ? group : group <= 16 ? 16 : kTensorCoreMaxTileQ;
  const std::size_t partial_rows = (items * tile + group - 1) / group;

  WorkspaceLayout layout;
  layout.ints_bytes = aligned(4 * (4 * (items + 4) + 2 * (batch + 1)) + items + 256);
  layout.page_offsets = layout.ints_bytes;
  layout.row_offsets = aligned(layout.page_offsets + 4 * (batch + 1));
  layout.last_page_tokens = aligned(layout.row_offsets + 4 * (batch + 1));
  layout.pages = aligned(layout.last_page_tokens + 4 * batch);
  layout.errors = aligned(layout.pages + 4 * static_cast<std::size_t>(num_pages));
  layout.uploaded = layout.errors + sizeof(unsigned);
  layout.floats = aligned(layout.uploaded);
  layout.floats_bytes = aligned(4 * heads * partial_rows * (head_dim + 1) + 256);
  layout.q = layout.floats + layout.floats_bytes;
  layout.out = aligned(layout.q + 2 * batch * heads * head_dim);
  layout.lse = aligned(layout.out + 2 * batch * heads * head_dim);
  layout.size_bytes = aligned(layout.lse + 4 * batch * heads);
  return layout;
}

FlashInferStep::FlashInferStep(std::shared_ptr<Context> context, Route route, const Path& path, const Step& step)
    : context_(std::move(context)), path_(path), step_(step) {
  if (step.batch == 0) return;
  plan(route);
}

void FlashInferStep::plan(Route route) {
  const auto batch = static_cast<std::size_t>(step_.batch);
  const std::int64_t page_size = step_.page_size;
  std::int64_t num_pages = 0;
  std::int64_t tokens = 0;
  std::int64_t empty_rows = 0;
  for (std::int64_t row = 0; row < step_.batch; ++row) {
    const std::int64_t length = step_.lengths.at(row);
    num_pages += (length + page_size - 1) / page_size;
    tokens += length;
    empty_rows += length == 0 ? 1 : 0;
  }
  require_below("num_pages", step_.num_pages, INT32_MAX);
  require_below("tokens of all rows, in whole pages,", num_pages * page_size, k2To32);
  require_below("batch * num_q_heads * head_dim", step_.batch * step_.shape.num_q_heads * step_.shape.head_dim, k2To32);
  any_tokens_ = tokens > 0;
  any_empty_rows_ = empty_rows > 0;

  layout_ = WorkspaceLayout::of(step_, route, num_pages, context_->device().num_sms);
  workspace_.emplace(context_, layout_.size_bytes, layout_.uploaded);
  unsigned char* host = workspace_->pinned();
  auto* page_offsets = reinterpret_cast<std::int32_t*>(host + layout_.page_offsets);
  auto* row_offsets = reinterpret_cast<std::int32_t*>(host + layout_.row_offsets);
  auto* last_page_tokens = reinterpret_cast<std::int32_t*>(host + layout_.last_page_tokens);
  auto* pages = reinterpret_cast<std::int32_t*>(host + layout_.pages);
  std::int32_t page = 0;
  for (std::size_t row = 0; row < batch; ++row) {
    const auto at = static_cast<std::int64_t>(row);
    const std::int64_t length = step_.lengths.at(at);
    const std::int64_t row_pages = (length + page_size - 1) / page_size;
    const std::int64_t base = step_.table.base(at);
    page_offsets[row] = page;
    row_offsets[row] = static_cast<std::int32_t>(row);
    last_page_tokens[row] = static_cast<std::int32_t>(length - std::max<std::int64_t>(row_pages - 1, 0) * page_size);
    copy_pages(step_.table, base, row_pages, pages + page);
    page += static_cast<std::int32_t>(row_pages);
  }
  page_offsets[batch] = page;
  row_offsets[batch] = static_cast<std::int32_t>(batch);
  std::memset(host + layout_.errors, 0, sizeof(unsigned));

  const cuda::Stream& uploads = context_->uploads();
  cuda::check(cudaMemcpyAsync(workspace_->device() + layout_.page_offsets, host + layout_.page_offsets,
                              layout_.uploaded - layout_.page_offsets, cudaMemcpyHostToDevice, uploads.handle()),
              "cudaMemcpyAsync");
  if (any_tokens_) {
    PlanRequest request;
    request.page_offsets = page_offsets;
    request.row_offsets = row_offsets;
    request.batch = static_cast<int>(step_.batch);
    request.num_q_heads = step_.shape.num_q_heads;
    request.num_kv_heads = step_.shape.num_kv_heads;
    request.page_size = step_.page_size;
    request.floats = workspace_->device() + layout_.floats;
    request.floats_bytes = layout_.floats_bytes;
    request.ints = workspace_->device();
    request.pinned_ints = host;
    request.ints_bytes = layout_.ints_bytes;
    request.stream = uploads.handle();
    path_.plan(request, cut_);
  }
  workspace_->uploaded().record(uploads.handle());
  planned_ = planned(tokens, empty_rows);
}

void FlashInferStep::await_upload(cudaStream_t stream) {
  if (uploaded_) return;
  if (cuda::is_capturing(stream)) {  // its graph may be launched in any stream
    workspace_->uploaded().wait("uploading FlashInfer's plan");
    uploaded_ = true;
  } else if (held_back_ != stream) {
    workspace_->uploaded().hold_back(stream);
    held_back_ = stream;
  }
}

ExecutedCounters FlashInferStep::planned(std::int64_t tokens, std::int64_t empty_rows) const {
  ExecutedCounters counters;
  if (!any_tokens_) return counters;
  const AttentionShape& shape = step_.shape;
  counters.launches = cut_.split ? 2 : 1;
  counters.merge_launches = cut_.split ? 1 : 0;
  counters.decode_ctas = cut_.work_items * shape.num_kv_heads;
  counters.segments = (cut_.work_items - empty_rows) * shape.num_kv_heads;
  if (cut_.split) counters.partials = cut_.work_items * shape.num_q_heads;
  counters.merge_bytes = counters.partials * (shape.head_dim * std::int64_t{size_bytes(step_.dtype)} + 4);
  counters.kv_tokens = tokens * shape.num_kv_heads;
  return counters;
}

RunRequest FlashInferStep::describe(const Layer& layer) const {
  cuda::DevicePointers& pointers = context_->pointers();
  layer.validate(step_);
  RunRequest request;
  if (step_.num_pages > 0) {
    require_paged(pointers, "k", layer.kv.k, step_);
    require_paged(pointers, "v", layer.kv.v, step_);
    request.k = layer.kv.k.data;
    request.v = layer.kv.v.data;
    request.page_stride = stride("page_stride", layer.kv.k.page_stride, layer.kv.v.page_stride, true);
    request.token_stride =
        stride("token_stride", layer.kv.k.token_stride, layer.kv.v.token_stride, step_.page_size > 1);
    request.head_stride =
        stride("head_stride", layer.kv.k.head_stride, layer.kv.v.head_stride, step_.shape.num_kv_heads > 1);
  }
  require_rows(pointers, "q", layer.q);
  require_rows(pointers, "out", layer.out);
  if (layer.lse) pointers.require("lse", layer.lse->data);
  request.batch = static_cast<int>(step_.batch);
  request.num_q_heads = step_.shape.num_q_heads;
  request.num_kv_heads = step_.shape.num_kv_heads;
  request.page_size = step_.page_size;
  request.softmax_scale = static_cast<float>(step_.shape.scale());
  request.pages = at<std::int32_t>(layout_.pages);
  request.page_offsets = at<std::int32_t>(layout_.page_offsets);
  request.last_page_tokens = at<std::int32_t>(layout_.last_page_tokens);
  request.row_offsets = at<std::int32_t>(layout_.row_offsets);
  request.ints = workspace_->device();
  request.floats = workspace_->device() + layout_.floats;
  // As FlashInfer launches its kernels where nothing else is asked for. Before they wait for the kernel ahead they read
  // nothing but their plan, so that nobody can tell whether the caller asked for it too.
  request.dependent = context_->device().compute_capability >= 90;
  return request;
}

void FlashInferStep::run(const Layer& layer, StreamHandle stream, const CudaRunOptions& /*options*/) {
  if (step_.batch == 0) return;
  RunRequest request = describe(layer);
  request.stream = static_cast<cudaStream_t>(stream);
  const AttentionShape& shape = step_.shape;
  const DenseShape dense{request.batch, shape.num_q_heads, shape.head_dim};
  const std::int64_t width = std::int64_t{shape.num_q_heads} * shape.head_dim;

  const bool out_there = !any_empty_rows_ && !layer.out.row_ids && layer.out.dtype == step_.dtype &&
                         layer.out.head_stride == shape.head_dim && layer.out.row_stride == width;
  const bool lse_there = !layer.lse || (!any_empty_rows_ && !layer.out.row_ids && layer.lse->base == LseBase::kTwo &&
                                        layer.lse->head_stride == 1 && layer.lse->row_stride == shape.num_q_heads);
  request.out = out_there ? layer.out.data : at<void>(layout_.out);
  if (layer.lse) request.lse = lse_there ? layer.lse->data : at<float>(layout_.lse);

  const cuda::DeviceGuard guard(context_->device().ordinal);
  executed_ = planned_;
  await_upload(request.stream);
  if (any_tokens_) {
    if (layer.q.row_ids || !fits_32_bits(layer.q, step_.batch, shape.num_q_heads)) {
      gather(rows_of(layer.q), dense, at<void>(layout_.q), at<unsigned>(layout_.errors), request.stream);
      ++executed_.launches;
      request.q = at<void>(layout_.q);
      request.q_row_stride = static_cast<std::int32_t>(width);
      request.q_head_stride = shape.head_dim;
    } else {
      request.q = layer.q.data;
      request.q_row_stride = static_cast<std::int32_t>(layer.q.row_stride);
      request.q_head_stride = static_cast<std::int32_t>(layer.q.head_stride);
    }
    path_.run(request, cut_);
  }
  if (out_there && lse_there) return;
  FinishRequest finishing;
  finishing.shape = dense;
  finishing.dtype = step_.dtype;
  if (!out_there) finishing.dense_out = request.out;
  finishing.dense_lse = request.lse;
  finishing.page_offsets = request.page_offsets;
  finishing.out = rows_of(layer.out);
  finishing.out_is_f32 = layer.out.dtype == DType::kF32;
  if (!lse_there) {
    finishing.lse = layer.lse->data;
    finishing.lse_row_stride = layer.lse->row_stride;
    finishing.lse_head_stride = layer.lse->head_stride;
    finishing.lse_factor = layer.lse->base == LseBase::kNatural ? std::numbers::ln2_v<float> : 1.0F;
  }
  finishing.errors = at<unsigned>(layout_.errors);
  finish(finishing, request.stream);
  ++executed_.launches;
}

CudaDeviceErrors FlashInferStep::take_errors(StreamHandle stream) {
  CudaDeviceErrors found;
  if (!workspace_) return found;
  const cuda::DeviceGuard guard(context_->device().ordinal);
  auto* const s = static_cast<cudaStream_t>(stream);
  await_upload(s);
  unsigned bits = 0;
  cuda::check(cudaMemcpyAsync(&bits, at<unsigned>(layout_.errors), sizeof(bits), cudaMemcpyDeviceToHost, s),
              "cudaMemcpyAsync");
  cuda::check(cudaMemsetAsync(at<unsigned>(layout_.errors), 0, sizeof(bits), s), "cudaMemsetAsync");
  cuda::check(cudaStreamSynchronize(s), "cudaStreamSynchronize");
  found.row_id_out_of_range = (bits & kRowIdOutOfRange) != 0;
  return found;
}

}  // namespace pkv::fi
