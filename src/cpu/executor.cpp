#include "executor.hpp"

#include "kernels/output.hpp"
#include "persistentkv/core/error.hpp"

#include <algorithm>

namespace pkv::detail {

namespace {

constexpr std::int64_t kCacheLineFloats = 16;

std::int64_t round_up_to_line(std::int64_t floats) {
  return (floats + kCacheLineFloats - 1) / kCacheLineFloats * kCacheLineFloats;
}

/// Whether the machine's cores drop prefetches that find their miss buffers full: AMD's do. On Intel's, which asking
/// twice slowed down, nothing says so.
bool drops_prefetches() {
#if defined(__x86_64__) && defined(__GNUC__)
  __builtin_cpu_init();
  return __builtin_cpu_is("amd") != 0;
#else
  return false;
#endif
}

KvSource describe(const PagedTensorView& tensor, const Step& step) {
  const std::int64_t size = size_bytes(step.dtype);
  return {.data = static_cast<const char*>(tensor.data),
          .page_bytes = tensor.page_stride * size,
          .token_bytes = tensor.token_stride * size,
          .head_bytes = step.shape.num_kv_heads == 1 ? 0 : tensor.head_stride * size};
}

}  // namespace

CpuPreparedStep::CpuPreparedStep(std::shared_ptr<CpuContext> context, const Step& step, WorkPlan plan)
    : context_(std::move(context)), step_(step), plan_(std::move(plan)) {
  reserved_pages_ = plan_.reserved_pages(step_.page_size);
  args_.plan = &plan_;
  args_.table = step_.table;
  args_.page_size = step_.page_size;
  args_.group_size = step_.shape.group_size();
  args_.head_dim = step_.shape.head_dim;
  args_.block_tokens = DecodeArgs::block_tokens_for(std::int64_t{step_.shape.head_dim} * size_bytes(step_.dtype));
  // Half a block, 8 KiB: nearer is late on some machines, and no distance up to twice that is better.
  args_.ask_near = args_.block_tokens / 2;
  args_.ask_far = drops_prefetches() ? args_.block_tokens : 0;
  args_.scale = static_cast<float>(step_.shape.scale());

  for (std::int32_t row = 0; row < plan_.batch(); ++row)
    if (plan_.lengths()[row] <= 0) empty_rows_.push_back(row);

  merge_of_slot_.assign(plan_.num_slots(), -1);
  waits_ = std::make_unique<std::atomic<std::int32_t>[]>(plan_.merges().size());
  for (std::size_t m = 0; m < plan_.merges().size(); ++m)
    for (const std::int32_t slot : plan_.slots(plan_.merges()[m])) merge_of_slot_[slot] = static_cast<std::int32_t>(m);

  const int num_threads = context_->threads.num_threads();
  const std::int64_t slots = round_up_to_line(plan_.num_slots() * args_.slot_floats());
  const std::int64_t each = round_up_to_line(Scratch::num_floats(args_));
  floats_ = hwy::AllocateAligned<float>(static_cast<std::size_t>(slots + each * num_threads));
  if (floats_ == nullptr) throw std::bad_alloc();
  args_.slots = floats_.get();
  scratch_.resize(num_threads);
  for (int t = 0; t < num_threads; ++t) scratch_[t].place(floats_.get() + slots + t * each, args_);
}

void CpuPreparedStep::run(const Layer& layer, StreamHandle /*stream*/) {
  layer.validate(step_);
  if (step_.batch > 0) bind(layer);
  for (Scratch& scratch : scratch_) scratch.counts = {};
  for (std::size_t m = 0; m < plan_.merges().size(); ++m)
    waits_[m].store(static_cast<std::int32_t>(plan_.slots(plan_.merges()[m]).size()), std::memory_order_relaxed);

  executed_ = {};
  executed_.reserved_pages = reserved_pages_;
  write_empty_rows();
  for (const Launch& launch : plan_.launches()) execute(launch);
  for (const Scratch& scratch : scratch_) {
    executed_.decode_ctas += scratch.counts.workers;
    executed_.segments += scratch.counts.segments;
    executed_.partials += scratch.counts.partials;
    executed_.kv_tokens += scratch.counts.kv_tokens;
  }
  executed_.merge_bytes = executed_.partials * (args_.head_dim + 2) * static_cast<std::int64_t>(sizeof(float));
}

void CpuPreparedStep::bind(const Layer& layer) {
  for (const IndexView* ids : {&layer.q.row_ids, &layer.out.row_ids})
    if (*ids && ids->space != MemorySpace::kHost) throw Unsupported("row_ids are on a device, must be in host memory");
  args_.k = describe(layer.kv.k, step_);
  args_.v = describe(layer.kv.v, step_);
  args_.q = layer.q;
  args_.out = layer.out;
  args_.lse = layer.lse.value_or(LseView{});
}

void CpuPreparedStep::write_empty_rows() {
  for (const std::int32_t row : empty_rows_)
    for (int h = 0; h < step_.shape.num_q_heads; ++h) write_nothing_attended(args_, row, h);
}

void CpuPreparedStep::execute(const Launch& launch) {
  ++executed_.launches;
  const bool merges_only = launch.kind == Launch::Kind::kMerge;
  executed_.merge_launches += merges_only ? 1 : 0;
  const bool merge = launch.kind == Launch::Kind::kDecodeMerge;
  const auto item = [&](std::int64_t i, int thread) {
    if (merges_only)
      run_merge(plan_.merges()[launch.begin + i], scratch_[thread]);
    else
      run_worker(static_cast<int>(launch.begin + i), merge, scratch_[thread]);
  };
  // A worker may be as long as the whole step.
  context_->threads.for_each(launch.end - launch.begin,
                             merges_only ? ThreadTeam::Items::kShort : ThreadTeam::Items::kLong, item);
}

void CpuPreparedStep::run_worker(int worker, bool merge, Scratch& scratch) {
  const std::span<const Segment> segments = plan_.worker(worker);
  context_->kernels.decode(step_.dtype)(args_, segments, scratch);
  if (!merge) return;
  for (const Segment& segment : segments) {
    if (segment.slot == Segment::kNoSlot) continue;
    const std::int32_t m = merge_of_slot_[segment.slot];
    // Release what this thread wrote, acquire what the others did.
    if (waits_[m].fetch_sub(1, std::memory_order_acq_rel) == 1) run_merge(plan_.merges()[m], scratch);
  }
}

void CpuPreparedStep::run_merge(const Merge& merge, Scratch& scratch) {
  context_->kernels.merge(args_, merge, scratch);
}

}  // namespace pkv::detail
