#include "listed_step.hpp"

#include "cuda_support/check.hpp"
#include "cuda_support/memory.hpp"
#include "stream_step.hpp"

#include <algorithm>
#include <bit>

namespace pkv::cuda {

namespace {

constexpr int kMergeThreads = 256;

/// The plan's segments, each with the merge that its launch carries out, if it does.
std::vector<ListedSegment> list_segments(const WorkPlan& plan) {
  std::vector<std::int32_t> merge_of_slot(static_cast<std::size_t>(plan.num_slots()), -1);
  for (std::size_t m = 0; m < plan.merges().size(); ++m)
    for (const std::int32_t slot : plan.slots(plan.merges()[m]))
      merge_of_slot[static_cast<std::size_t>(slot)] = static_cast<std::int32_t>(m);
  std::vector<ListedSegment> segments;
  segments.reserve(plan.segments().size());
  for (const Segment& s : plan.segments())
    segments.push_back({s.row, s.kv_head, static_cast<std::int32_t>(plan.token_begin(s)),
                        static_cast<std::int32_t>(plan.token_end(s)), s.slot, -1});
  const std::vector<std::int32_t>& offsets = plan.parts().worker_offsets;
  for (const Launch& launch : plan.launches()) {
    if (launch.kind != Launch::Kind::kDecodeMerge) continue;
    for (std::int32_t s = offsets[static_cast<std::size_t>(launch.begin)];
         s < offsets[static_cast<std::size_t>(launch.end)]; ++s) {
      ListedSegment& segment = segments[static_cast<std::size_t>(s)];
      if (segment.slot >= 0) segment.merge = merge_of_slot[static_cast<std::size_t>(segment.slot)];
    }
  }
  return segments;
}

ExecutedCounters counters_of(const WorkPlan& plan) {
  const PlanCounters& c = plan.counters();
  return {c.launches,
          c.merge_launches,
          c.decode_ctas,
          c.segments,
          c.partials,
          c.merge_bytes,
          c.kv_tokens * plan.num_kv_heads()};
}

}  // namespace

ListedStep::ListedStep(std::shared_ptr<CudaContext> context, const Step& step, const WorkPlan& plan,
                       const DecodeKernels& kernels)
    : context_(std::move(context)),
      step_(step),
      group_(GroupCut::of(step.shape.group_size(), kernels.max_blocks)),
      decode_(context_->configure(kernels.segments[group_.blocks - 1], kernels, group_, kListedWarps)),
      merge_(kernels.merge[group_.blocks - 1]),
      on_device_(context_, step, group_),
      launches_(plan.launches().begin(), plan.launches().end()),
      planned_(counters_of(plan)) {
  planned_.reserved_pages = plan.reserved_pages(step.page_size);
  upload(plan);
}

void ListedStep::upload(const WorkPlan& plan) {
  const std::vector<ListedSegment> segments = list_segments(plan);
  std::vector<ListedMerge> merges;
  for (const Merge& m : plan.merges()) merges.push_back({m.row, m.kv_head, m.slots_begin, m.slots_end});
  const std::vector<std::int32_t>& offsets = plan.parts().worker_offsets;
  const std::vector<std::int32_t>& slots = plan.parts().merge_slots;

  Staging staging;
  const auto add = [&](const auto& values) { return staging.add(values.data(), values.size() * sizeof(values[0])); };
  const std::size_t at_segments = add(segments), at_offsets = add(offsets), at_merges = add(merges),
                    at_slots = add(slots);
  const std::size_t heads = static_cast<std::size_t>(group_.chunks) * static_cast<std::size_t>(8 * group_.blocks);
  const std::size_t states = static_cast<std::size_t>(plan.num_slots()) * heads;
  const std::size_t errors = aligned(staging.bytes().size());
  const std::size_t arrivals = errors + aligned(sizeof(unsigned));
  const std::size_t max_sum = arrivals + aligned(merges.size() * heads * sizeof(unsigned));
  const std::size_t acc = max_sum + aligned(states * sizeof(float2));
  const std::size_t size = acc + states * static_cast<std::size_t>(plan.head_dim()) * sizeof(float);

  plan_memory_ = Leased(context_, std::bit_ceil(size));
  unsigned char* base = plan_memory_.data();
  context_->upload(base, staging.bytes().data(), staging.bytes().size());
  context_->clear(base + errors, max_sum - errors);
  list_.segments = reinterpret_cast<const ListedSegment*>(base + at_segments);
  list_.worker_offsets = reinterpret_cast<const std::int32_t*>(base + at_offsets);
  list_.merges = reinterpret_cast<const ListedMerge*>(base + at_merges);
  list_.merge_slots = reinterpret_cast<const std::int32_t*>(base + at_slots);
  list_.warps = arith::Divisor(decode_.warps);
  list_.num_slots = plan.num_slots();
  list_.num_merges = static_cast<std::int32_t>(merges.size());
  errors_ = reinterpret_cast<unsigned*>(base + errors);
  partials_ = {reinterpret_cast<float*>(base + acc), reinterpret_cast<float2*>(base + max_sum),
               reinterpret_cast<unsigned*>(base + arrivals)};
}

void ListedStep::run(const Layer& layer, StreamHandle stream, const CudaRunOptions& options) {
  DecodeParams p;
  if (step_.batch > 0) p = describe(*context_, step_, group_, layer, options);
  executed_ = planned_;
  if (step_.batch == 0) return;
  p.step = on_device_.params();
  p.step.errors = errors_;
  p.partials = partials_;
  const DeviceGuard guard(context_->device().ordinal);
  TimelineParams timeline;
  if (options.timeline != nullptr) timeline.buffer = *options.timeline;
  for (const Launch& item : launches_) {
    timeline.first_warp += launch(item, p, stream, options.programmatic_dependent_launch, timeline);
    ++timeline.launch;
  }
}

int ListedStep::launch(const Launch& launch, const DecodeParams& p, StreamHandle stream, bool dependent,
                       const TimelineParams& timeline) {
  Probed<ListParams> list{list_, timeline};  // what does not stamp takes the first part of it
  list.first = launch.begin;
  list.count = launch.end - launch.begin;
  list.write_empty_rows = timeline.launch == 0;
  void* params[] = {const_cast<DecodeParams*>(&p), static_cast<ListParams*>(&list)};
  const void *decode = decode_.function, *merge = merge_;
  if (timeline.buffer.warps != nullptr) {
    const DecodeKernels& kernels = timeline_kernels(step_);
    decode = context_->configure(kernels.segments[group_.blocks - 1], kernels, group_, decode_.warps).function;
    merge = kernels.merge[group_.blocks - 1];
  }
  const std::int64_t items = std::int64_t{list.count} * group_.chunks;
  if (launch.kind == Launch::Kind::kMerge) {
    const std::int64_t warps = items * group_.heads_per_unit;
    const auto grid = static_cast<int>((warps * 32 + kMergeThreads - 1) / kMergeThreads);
    if (grid > 0) launch_kernel(*context_, merge, grid, kMergeThreads, 0, stream, dependent, params);
    return grid * (kMergeThreads / 32);
  }
  // Where there is nothing to read, somebody must write the empty rows.
  const auto grid = static_cast<int>(std::max<std::int64_t>(items, 1));
  launch_kernel(*context_, decode, grid, decode_.warps * 32, decode_.shared_bytes, stream, dependent, params);
  return grid * decode_.warps;
}

CudaDeviceErrors ListedStep::take_errors(StreamHandle stream) {
  const DeviceGuard guard(context_->device().ordinal);
  return take_error_word(errors_, stream);
}

}  // namespace pkv::cuda
