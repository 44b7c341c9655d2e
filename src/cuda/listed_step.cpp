#include "listed_step.hpp"

#include "cuda_support/check.hpp"
#include "cuda_support/memory.hpp"
#include "launch.hpp"
#include "stream_step.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

namespace pkv::cuda {

namespace {

constexpr int kMergeThreads = 256;
/// Parts that a warp merges without groups, where it has so many heads: one or two turns of its ring, which are no
/// longer than a group's turn, the arrival and a last turn (measured: docs/design/cuda-engine.md).
constexpr int ungrouped(int heads) { return heads == 1 ? 32 : heads == 2 ? 24 : 16; }
constexpr int kMergeGroup = 8;

/// A plan as the kernels take it.
struct Lists {
  std::vector<ListedSegment> segments;
  std::vector<std::int32_t> worker_offsets;
  std::vector<ListedMerge> merges;
  std::int32_t num_slots = 0;
};

/// The plan's workers, in the order of their CTAs: that of the plan, but where a launch that merges has more of them
/// than `resident`, the longest first. Then the last ones to end are short, and most is merged while others still read.
std::vector<std::int32_t> order_workers(const WorkPlan& plan, std::int64_t resident) {
  const std::vector<std::int32_t>& offsets = plan.parts().worker_offsets;
  std::vector<std::int32_t> workers(offsets.size() - 1);
  std::iota(workers.begin(), workers.end(), 0);
  std::vector<std::int64_t> tokens(workers.size(), 0);
  for (const Launch& launch : plan.launches()) {
    if (launch.kind != Launch::Kind::kDecodeMerge || launch.end - launch.begin <= resident) continue;
    for (auto w = static_cast<std::size_t>(launch.begin); w < static_cast<std::size_t>(launch.end); ++w)
      for (std::int32_t s = offsets[w]; s < offsets[w + 1]; ++s) {
        const Segment& segment = plan.segments()[static_cast<std::size_t>(s)];
        tokens[w] += plan.token_end(segment) - plan.token_begin(segment);
      }
    std::stable_sort(workers.begin() + launch.begin, workers.begin() + launch.end, [&](std::int32_t a, std::int32_t b) {
      return tokens[static_cast<std::size_t>(a)] > tokens[static_cast<std::size_t>(b)];
    });
  }
  return workers;
}

/// `resident`: workers that run at once. Merges of more than `most_parts` are done in two turns, the first by groups of
/// neighbours.
Lists make_lists(const WorkPlan& plan, std::int64_t resident, int most_parts) {
  struct PartOf {
    std::int32_t merge = -1;
    std::int32_t part = 0;
  };
  Lists lists;
  std::vector<PartOf> of_slot(static_cast<std::size_t>(plan.num_slots()));
  for (const Merge& m : plan.merges()) {
    PartOf of{static_cast<std::int32_t>(lists.merges.size()), 0};
    for (const std::int32_t slot : plan.slots(m)) {
      of_slot[static_cast<std::size_t>(slot)] = of;
      ++of.part;
    }
    lists.merges.push_back({m.row, m.kv_head, lists.num_slots, of.part});
    lists.num_slots += of.part;
  }
  std::vector<bool> merges(static_cast<std::size_t>(plan.num_workers()), false);
  for (const Launch& launch : plan.launches())
    if (launch.kind == Launch::Kind::kDecodeMerge)
      std::fill(merges.begin() + launch.begin, merges.begin() + launch.end, true);
  const std::vector<std::int32_t>& offsets = plan.parts().worker_offsets;
  lists.segments.reserve(plan.segments().size());
  lists.worker_offsets = {0};
  for (const std::int32_t worker : order_workers(plan, resident)) {
    const auto w = static_cast<std::size_t>(worker);
    for (std::int32_t i = offsets[w]; i < offsets[w + 1]; ++i) {
      const Segment& s = plan.segments()[static_cast<std::size_t>(i)];
      ListedSegment segment{s.row, s.kv_head, static_cast<std::int32_t>(plan.token_begin(s)),
                            static_cast<std::int32_t>(plan.token_end(s)), s.slot};
      if (s.slot >= 0) {
        const PartOf of = of_slot[static_cast<std::size_t>(s.slot)];
        const ListedMerge& m = lists.merges[static_cast<std::size_t>(of.merge)];
        segment.slot = m.slot + of.part;
        if (merges[w]) {
          segment.merge = of.merge;
          segment.merge_slot = m.slot;
          segment.merge_parts = m.parts;
          segment.group_size = m.parts > most_parts ? kMergeGroup : m.parts;
          segment.group_slot = m.slot + of.part / segment.group_size * segment.group_size;
          segment.group_parts = std::min(segment.group_size, m.slot + m.parts - segment.group_slot);
        }
      }
      lists.segments.push_back(segment);
    }
    lists.worker_offsets.push_back(static_cast<std::int32_t>(lists.segments.size()));
  }
  return lists;
}

/// Tokens of each SM, of those that `stream` may use, up to which a step is short. Of `stream` they are more: its two
/// CTAs are on neighbouring SMs, and these are on any (measured: docs/design/cuda-engine.md).
constexpr int kListedHalvedRun = 2300;

/// A short step takes groups of more than 8 heads in halves, as `stream` does, where all CTAs, which are twice as many
/// then, run at once.
GroupCut cut_group(CudaContext& context, const WorkPlan& plan, const DecodeKernels& kernels) {
  const int group_size = plan.num_q_heads() / plan.num_kv_heads();
  const GroupCut whole = GroupCut::of(group_size, kernels.max_blocks), halves = GroupCut::of(group_size, 1);
  const std::int64_t tokens = plan.counters().kv_tokens * plan.num_kv_heads();
  if (whole.blocks == 1 || whole.chunks > 1 ||
      !arith::halves_units<std::int64_t>(tokens, arith::Divisor(context.stream_ctas()), kListedHalvedRun))
    return whole;
  const KernelLaunch kernel = context.configure(kernels.segments[0], kernels, halves, kListedWarps);
  return std::int64_t{halves.chunks} * plan.num_workers() <= context.resident_ctas(kernel) ? halves : whole;
}

}  // namespace

ListedStep::ListedStep(std::shared_ptr<CudaContext> context, const Step& step, const WorkPlan& plan,
                       const DecodeKernels& kernels)
    : context_(std::move(context)),
      step_(step),
      group_(cut_group(*context_, plan, kernels)),
      decode_(context_->configure(kernels.segments[group_.blocks - 1], kernels, group_, kListedWarps)),
      merge_(load_kernel(context_->device().ordinal, kernels.merge[group_.blocks - 1])),
      on_device_(context_, step, group_),
      launches_(plan.launches().begin(), plan.launches().end()),
      planned_(counters_of(plan, step.page_size)) {
  upload(plan);
}

void ListedStep::upload(const WorkPlan& plan) {
  const int of_warp = (group_.heads_per_unit + decode_.warps - 1) / decode_.warps;
  // The driver is asked only where the answer matters: planning is timed.
  const bool a_launch_merges = std::any_of(launches_.begin(), launches_.end(), [](const Launch& launch) {
    return launch.kind == Launch::Kind::kDecodeMerge;
  });
  const std::int64_t resident = a_launch_merges ? context_->resident_ctas(decode_) / group_.chunks : 0;
  const auto [segments, offsets, merges, num_slots] = make_lists(plan, resident, ungrouped(of_warp));

  Staging staging;
  const auto add = [&](const auto& values) { return staging.add(values.data(), values.size() * sizeof(values[0])); };
  const std::size_t at_segments = add(segments), at_offsets = add(offsets), at_merges = add(merges);
  const std::size_t heads = static_cast<std::size_t>(group_.chunks) * static_cast<std::size_t>(8 * group_.blocks);
  const std::size_t states = static_cast<std::size_t>(num_slots) * heads;
  const std::size_t errors = aligned(staging.bytes().size());
  const std::size_t arrivals = errors + aligned(sizeof(unsigned));
  // Counters of groups, which are their first parts', and then of merges.
  const std::size_t max_sum = arrivals + aligned((states + merges.size() * heads) * sizeof(unsigned));
  const std::size_t acc = max_sum + aligned(states * sizeof(float2));
  const std::size_t size = acc + states * static_cast<std::size_t>(plan.head_dim()) * sizeof(float);

  plan_memory_ = Leased(context_, std::bit_ceil(size));
  unsigned char* base = plan_memory_.data();
  context_->upload(base, staging.bytes().data(), staging.bytes().size());
  context_->clear(base + errors, max_sum - errors);
  list_.segments = reinterpret_cast<const ListedSegment*>(base + at_segments);
  list_.worker_offsets = reinterpret_cast<const std::int32_t*>(base + at_offsets);
  list_.merges = reinterpret_cast<const ListedMerge*>(base + at_merges);
  list_.warps = arith::Divisor(decode_.warps);
  list_.num_slots = num_slots;
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
    timeline.first_warp += launch(item, p, stream, timeline);
    ++timeline.launch;
  }
}

int ListedStep::launch(const Launch& launch, const DecodeParams& p, StreamHandle stream,
                       const TimelineParams& timeline) {
  Probed<ListParams> list{list_, timeline};  // what does not stamp takes the first part of it
  list.first = launch.begin;
  list.count = launch.end - launch.begin;
  list.write_empty_rows = timeline.launch == 0;
  void* params[] = {const_cast<DecodeParams*>(&p), static_cast<ListParams*>(&list)};
  cudaFunction_t decode = decode_.kernel, merge = merge_;
  if (timeline.buffer.warps != nullptr) {
    const DecodeKernels& kernels = timeline_kernels(step_);
    decode = context_->configure(kernels.segments[group_.blocks - 1], kernels, group_, decode_.warps).kernel;
    merge = load_kernel(context_->device().ordinal, kernels.merge[group_.blocks - 1]);
  }
  const std::int64_t items = std::int64_t{list.count} * group_.chunks;
  if (launch.kind == Launch::Kind::kMerge) {
    const std::int64_t warps = items * group_.heads_per_unit;
    const auto grid = static_cast<int>((warps * 32 + kMergeThreads - 1) / kMergeThreads);
    if (grid > 0) launch_kernel(context_->device(), merge, {grid, kMergeThreads, 0, p.dependent}, stream, params);
    return grid * (kMergeThreads / 32);
  }
  // Where there is nothing to read, somebody must write the empty rows.
  const auto grid = static_cast<int>(std::max<std::int64_t>(items, 1));
  launch_kernel(context_->device(), decode, {grid, decode_.warps * 32, decode_.shared_bytes, p.dependent}, stream,
                params);
  return grid * decode_.warps;
}

CudaDeviceErrors ListedStep::take_errors(StreamHandle stream) {
  const DeviceGuard guard(context_->device().ordinal);
  return take_error_word(errors_, stream);
}

}  // namespace pkv::cuda
