#include "stream_step.hpp"

#include "cuda_support/check.hpp"
#include "cuda_support/memory.hpp"
#include "launch.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/core/step_rows.hpp"
#include "persistentkv/plan/planner.hpp"
#include "persistentkv/plan/stream_cut.hpp"
#include "tile_table.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pkv::cuda {

namespace {

/// What a step can cost at most, in tokens: segments of rows that are alike cost less than a token a worker.
double most_cost(const Step& step, const StepParams& params, const PlanOptions& options) {
  const std::int64_t segment = std::max<std::int64_t>(
      arith::SegmentCost<std::int64_t>::kMore * options.segment_cost_tokens, options.num_workers);
  return static_cast<double>(params.max_row_tokens + segment) * static_cast<double>(step.batch) * params.num_units;
}

}  // namespace

StreamWorkspace StreamWorkspace::of(int num_workers, int blocks, int head_dim) noexcept {
  const auto workers = static_cast<std::size_t>(num_workers);
  const std::size_t states = 2 * workers * static_cast<std::size_t>(8 * blocks);
  StreamWorkspace w;
  w.arrivals = aligned(sizeof(unsigned));
  // A counter for each head. They end where those of other numbers of workers and heads do, so that no step's partials
  // lie where another's counters are.
  w.max_sum = w.arrivals + aligned(std::max<std::size_t>(workers, 1024) * kMaxHeadsPerUnit * sizeof(unsigned));
  w.acc = w.max_sum + aligned(states * sizeof(float2));
  w.size_bytes = w.acc + aligned(states * static_cast<std::size_t>(head_dim) * sizeof(float));
  return w;
}

StreamStep::~StreamStep() {
  if (own_workspace_.data() != nullptr) context_->clear_later(errors_, sizeof(unsigned));
}

StreamStep::StreamStep(std::shared_ptr<CudaContext> context, const Step& step, const PlanOptions& options,
                       const DecodeKernels& kernels, const CudaWorkspace& workspace)
    : context_(std::move(context)),
      step_(step),
      options_(options),
      group_(GroupCut::of(step.shape.group_size(), kernels.max_blocks)),
      kernel_(context_->configure(kernels.stream_of(StepForm::kAny, group_.blocks), kernels, group_, kMaxWarps)),
      on_device_(context_, step, group_),
      chooses_cut_(options.num_workers == 0) {
  const int units = step.shape.num_kv_heads * group_.chunks;
  int chained_workers = options_.num_workers;
  if (chooses_cut_) {
    options_.num_workers = context_->stream_ctas();
    chained_workers = context_->stream_ctas(true);
    // At least a tile for every warp: more CTAs than that have nothing to read sooner, and parts to be merged.
    if (options_.min_run_tokens == 0) options_.min_run_tokens = kernel_.warps * options_.tile_tokens;
  }
  StreamCut().assign(step.shape.num_kv_heads, {}, options_);  // refuses what the host's planner refuses
  if (most_cost(step, on_device_.params(), options_) > static_cast<double>(arith::kMaxTotalCost)) {
    throw InvalidArgument(
        fmt::format("page_table holds up to {} tokens for each of {} rows and {} KV heads, must be at most 2^52 in all",
                    on_device_.params().max_row_tokens, step.batch, units));
  }
  const int workers = options_.num_workers;

  const StreamWorkspace at = StreamWorkspace::of(workers, group_.blocks, step.shape.head_dim);
  auto* base = static_cast<unsigned char*>(workspace.data);
  if (base == nullptr) {
    own_workspace_ = Leased(context_, at.size_bytes, 1 + at.max_sum);  // its counters end there
    base = own_workspace_.data();
  } else {
    context_->pointers().require("workspace", base);
    if (workspace.size_bytes < at.size_bytes) {
      throw InvalidArgument(
          fmt::format("workspace.size_bytes is {}, must be at least {}", workspace.size_bytes, at.size_bytes));
    }
    if (reinterpret_cast<std::uintptr_t>(base) % 256 != 0)
      throw InvalidArgument(fmt::format("workspace.data is {}, must be aligned to 256 bytes", workspace.data));
  }
  errors_ = reinterpret_cast<unsigned*>(base + at.errors);
  partials_ = {reinterpret_cast<float*>(base + at.acc), reinterpret_cast<float2*>(base + at.max_sum),
               reinterpret_cast<unsigned*>(base + at.arrivals)};

  alone_ = cut_for(workers, options_.ahead_tokens, options_.whole_unit_tokens);
  // Chained, the next kernel begins on SMs that this one leaves idle.
  const bool overlaps = chooses_cut_ && context_->chains();
  // Where CTAs are capped, the next kernel has the SMs beyond anyway.
  const bool chooses_runs =
      overlaps && chained_workers < workers && options.min_run_tokens == 0 && options.ahead_tokens == 0;
  const int in_rings = kernel_.warps * tile_choice(step.shape.head_dim).stages * kTileTokens;
  chained_ = cut_for(chained_workers, chooses_runs ? in_rings : options_.ahead_tokens,
                     overlaps ? PlanOptions::kMaxWholeUnitTokens : options_.whole_unit_tokens);
  if (overlaps) let_long_steps_have(chained_, alone_);

  form_ = form_of(on_device_.params(), group_, alone_.stream.wide || chained_.stream.wide);
  form_kernel_ = kernel_.kernel;
  if (form_ != StepForm::kAny)
    form_kernel_ = context_->configure(kernels.stream_of(form_, group_.blocks), kernels, group_, kernel_.warps).kernel;
}

bool StreamStep::runs_by_twos(int workers) const noexcept {
  return context_->device().compute_capability < 90 || workers / 2 <= kernel_.twos_at_once;
}

StreamStep::Cut StreamStep::cut_for(int workers, int ahead_tokens, int whole_unit_tokens) const {
  Cut cut;
  StreamParams& stream = cut.stream;
  stream.warps = arith::Divisor(kernel_.warps);
  stream.tile_tokens = arith::Divisor(options_.tile_tokens);
  stream.segment_cost_tokens = options_.segment_cost_tokens;
  stream.min_run_tokens = std::max(options_.min_run_tokens, options_.tile_tokens);
  stream.ahead_tokens = ahead_tokens;
  stream.uncut_tokens = options_.uncut_tokens;
  // Runs may also be of the least length each, however many there are.
  const double cost = most_cost(step_, on_device_.params(), options_),
               least = 1.0 * options_.num_workers * std::max(stream.min_run_tokens, 2 * ahead_tokens);
  stream.wide = cost + least >= 0x1p31;
  stream.may_halve = chooses_cut_ && group_.blocks > 1 && group_.chunks == 1 && workers > 1 && !stream.wide &&
                     step_.batch <= arith::kMostHalvedRows && runs_by_twos(workers);
  const std::int64_t units = step_.batch * on_device_.params().num_units;
  if (stream.may_halve) {
    workers -= workers % 2;
    cut.rare.half_workers = arith::Divisor(workers / 2);
    cut.rare.whole_halves = arith::WholeUnits(units, workers / 2, whole_unit_tokens);
  }
  cut.ctas = workers;
  stream.workers = cut.rare.long_workers = arith::Divisor(workers);
  stream.whole = arith::WholeUnits(units, workers, whole_unit_tokens);
  cut.rare.whole_unit_tokens = cut.rare.long_whole_unit_tokens = whole_unit_tokens;
  return cut;
}

void StreamStep::let_long_steps_have(Cut& cut, const Cut& more) const {
  const int idle = more.ctas - cut.ctas;
  if (idle <= 0) return;
  const std::int64_t kilotokens = std::int64_t{arith::kLongRun} / idle * more.ctas >> 10;
  const double most = 1.0 * step_.batch * on_device_.params().max_row_tokens * on_device_.params().num_units;
  if (kilotokens >= UINT16_MAX || most < 1024.0 * static_cast<double>(kilotokens)) return;
  cut.stream.long_step_kilotokens = static_cast<std::uint16_t>(kilotokens);
  cut.rare.long_workers = more.stream.workers;
  cut.rare.long_whole_unit_tokens = more.rare.whole_unit_tokens;
  cut.ctas = more.ctas;
}

void StreamStep::run(const Layer& layer, StreamHandle handle, const CudaRunOptions& options) {
  DecodeParams p;
  if (step_.batch > 0) p = describe(*context_, step_, group_, layer, options);
  Cut& cut = options.programmatic_dependent_launch ? chained_ : alone_;
  StreamParams& stream = cut.stream;
  ran_ = &cut;
  if (step_.batch == 0) return;
  p.step = on_device_.params();
  p.step.errors = errors_;
  p.partials = partials_;
  const DeviceGuard guard(context_->device().ordinal);
  const auto launch = [&](cudaFunction_t kernel, void* stream_params) {
    void* params[] = {stream_params, &p, &cut.rare};
    launch_kernel(context_->device(), kernel,
                  {cut.ctas, kernel_.warps * 32, kernel_.shared_bytes, p.dependent, stream.may_halve}, handle, params);
  };
  const bool usual = is_usual(p);
  if (__builtin_expect(options.timeline == nullptr, 1)) return launch(usual ? form_kernel_ : kernel_.kernel, &stream);
  const DecodeKernels& kernels = timeline_kernels(step_);
  const void* twin = kernels.stream_of(usual ? form_ : StepForm::kAny, group_.blocks);
  Probed<StreamParams> probed{stream, {*options.timeline, 0, 0}};
  launch(context_->configure(twin, kernels, group_, kernel_.warps).kernel, &probed);
}

ExecutedCounters StreamStep::launched() const noexcept {
  if (ran_ == nullptr || step_.batch == 0) return {};
  ExecutedCounters executed;
  executed.launches = 1;
  executed.decode_ctas = ran_->ctas;
  return executed;
}

ExecutedCounters StreamStep::executed() const {
  if (step_.lengths.values.space != MemorySpace::kHost) return launched();  // only the device knows the rest
  return executed_for(row_lengths(step_));
}

std::int64_t StreamStep::tokens_of_units(std::span<const std::int32_t> lengths) const {
  std::int64_t tokens = 0;
  for (const std::int32_t length : lengths) tokens += std::max(length, 0);
  return tokens * on_device_.params().num_units;
}

ExecutedCounters StreamStep::executed_for(std::span<const std::int32_t> lengths) const {
  const ExecutedCounters launched = this->launched();
  if (launched.launches == 0) return launched;
  if (static_cast<std::int64_t>(lengths.size()) != step_.batch) {
    throw InvalidArgument(
        fmt::format("lengths has {} entries, must have the step's batch, {}", lengths.size(), step_.batch));
  }
  // The kernel's own arithmetic, with the options that it was given; but several passes over a group count as one.
  PlanOptions options = options_;
  const std::int64_t tokens = tokens_of_units(lengths);
  const bool halved = ran_->is_halved(tokens), is_long = ran_->is_long(tokens);
  const RareCuts& rare = ran_->rare;
  options.num_workers = (halved ? rare.half_workers : is_long ? rare.long_workers : ran_->stream.workers).value;
  options.ahead_tokens = ran_->stream.ahead_tokens;
  options.whole_unit_tokens = is_long ? rare.long_whole_unit_tokens : rare.whole_unit_tokens;
  StreamCut cut;
  cut.assign(step_.shape.num_kv_heads, lengths, options);
  const WorkPlan plan = cut.materialize(step_.shape.num_q_heads, step_.shape.head_dim);
  ExecutedCounters executed = counters_of(plan, step_.page_size);
  executed.decode_ctas = launched.decode_ctas;
  if (halved) executed.segments *= 2;
  return executed;
}

bool StreamStep::replays_with_other_lengths() const noexcept {
  const auto on_device = [](const IndexView& view) { return !view || view.space == MemorySpace::kDevice; };
  return on_device(step_.lengths.values) && on_device(step_.table.entries) && on_device(step_.table.row_offsets) &&
         on_device(step_.table.row_ids);
}

CudaDeviceErrors StreamStep::take_errors(StreamHandle stream) {
  const DeviceGuard guard(context_->device().ordinal);
  return take_error_word(errors_, stream);
}

CudaDeviceErrors take_error_word(unsigned* errors, StreamHandle stream) {
  unsigned bits = 0;
  auto* const s = static_cast<cudaStream_t>(stream);
  check(cudaMemcpyAsync(&bits, errors, sizeof(bits), cudaMemcpyDeviceToHost, s), "cudaMemcpyAsync");
  check(cudaMemsetAsync(errors, 0, sizeof(bits), s), "cudaMemsetAsync");
  check(cudaStreamSynchronize(s), "cudaStreamSynchronize");
  CudaDeviceErrors found;
  found.length_over_capacity = (bits & kLengthOverCapacity) != 0;
  found.page_out_of_range = (bits & kPageOutOfRange) != 0;
  found.table_out_of_range = (bits & kTableOutOfRange) != 0;
  found.row_id_out_of_range = (bits & kRowIdOutOfRange) != 0;
  return found;
}

}  // namespace pkv::cuda
