#include "conformance/model_backend.hpp"

#include "persistentkv/core/error.hpp"
#include "persistentkv/engine/step_plan.hpp"
#include "persistentkv/plan/planner.hpp"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <numbers>

namespace pkv::conformance {

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Softmax state of one query head over some tokens.
struct State {
  float max = -kInfinity;
  float sum = 0.0f;
  std::vector<float> acc;
};

std::int64_t row_of(const IndexView& ids, std::int64_t row, bool ignore) { return ids && !ignore ? ids.at(row) : row; }

/// What is labelled as a device's is the host's in truth.
void relabel(std::initializer_list<IndexView*> views) {
  for (IndexView* view : views) view->space = MemorySpace::kHost;
}

class ModelPrepared : public PreparedStep {
 public:
  ModelPrepared(const Step& step, std::shared_ptr<const WorkPlan> plan, Fault fault)
      : step_(step), plan_(std::move(plan)), fault_(fault) {
    if (fault == Fault::kIgnoresScale) step_.shape.softmax_scale = 0.0;
    if (fault == Fault::kIgnoresEntryDivisor) step_.table.entry_divisor = 1;
    if (fault == Fault::kIgnoresTableRowIds) step_.table.row_ids = {};
  }

  void run(const Layer& given, StreamHandle) override {
    if (fault_ == Fault::kWritesBeforeItChecks && given.out.data != nullptr && step_.batch > 0)
      *static_cast<char*>(given.out.data) = 1;
    if (!check(given)) return;
    const PagedTensorView first_k = layer_.kv.k;
    layer_ = given;
    relabel({&layer_.q.row_ids, &layer_.out.row_ids});
    if (fault_ == Fault::kKeepsTheFirstStrides && first_k.data != nullptr) {
      layer_.kv.k = first_k;
      layer_.kv.k.data = given.kv.k.data;
    }
    executed_ = {};
    executed_.reserved_pages = plan_->reserved_pages(step_.page_size);
    slots_.assign(static_cast<std::size_t>(plan_->num_slots()), {});
    if (fault_ != Fault::kForgetsEmptyRows) write_empty_rows();
    for (const Launch& launch : plan_->launches()) run_launch(launch);
    if (fault_ == Fault::kCountsThePlan) ++executed_.segments;
  }

  [[nodiscard]] ExecutedCounters executed() const override { return executed_; }

 private:
  [[nodiscard]] bool is(Fault fault) const { return fault_ == fault; }

  /// False where a broken model takes a bad layer, and does nothing with it.
  [[nodiscard]] bool check(const Layer& layer) const {
    try {
      layer.validate(step_);
    } catch (const InvalidArgument&) {
      if (is(Fault::kChecksNoLayers)) return false;
      if (is(Fault::kRefusesWithoutWords)) throw InvalidArgument("bad argument");
      throw;
    }
    return true;
  }

  void write_empty_rows() {
    for (std::int64_t row = 0; row < step_.batch; ++row) {
      if (step_.lengths.at(row) > 0) continue;
      if (is(Fault::kTrustsNegativeLengths) && step_.lengths.values.at(row) < 0) continue;
      for (int head = 0; head < step_.shape.num_q_heads; ++head)
        write(row, head, {-kInfinity, 1.0f, std::vector<float>(static_cast<std::size_t>(step_.shape.head_dim))});
    }
  }

  void run_launch(const Launch& launch) {
    ++executed_.launches;
    if (launch.kind == Launch::Kind::kMerge) {
      ++executed_.merge_launches;
      for (std::int32_t m = launch.begin; m < launch.end; ++m) merge(plan_->merges()[static_cast<std::size_t>(m)]);
      return;
    }
    for (std::int32_t w = launch.begin; w < launch.end; ++w) {
      ++executed_.decode_ctas;
      for (const Segment& segment : plan_->worker(w)) decode(segment);
    }
    if (launch.kind != Launch::Kind::kDecodeMerge) return;
    for (const Merge& m : plan_->merges())  // those whose partials are all there for the first time
      if (std::all_of(plan_->slots(m).begin(), plan_->slots(m).end(),
                      [&](std::int32_t slot) { return !slots_[static_cast<std::size_t>(slot)].empty(); }) &&
          launched_here(launch, m))
        merge(m);
  }

  [[nodiscard]] bool launched_here(const Launch& launch, const Merge& m) const {
    const std::int32_t slot = plan_->slots(m).front();
    for (std::int32_t w = launch.begin; w < launch.end; ++w)
      for (const Segment& segment : plan_->worker(w))
        if (segment.slot == slot) return true;
    return false;
  }

  void decode(const Segment& s) {
    ++executed_.segments;
    executed_.kv_tokens += plan_->token_end(s) - plan_->token_begin(s);
    std::vector<State> states;
    const int group_size = step_.shape.group_size();
    for (int g = 0; g < group_size; ++g) {
      const int head =
          is(Fault::kInterleavesGroups) ? g * step_.shape.num_kv_heads + s.kv_head : s.kv_head * group_size + g;
      State state = attend(s, head);
      if (s.slot == Segment::kNoSlot)
        write(s.row, head, state);
      else
        states.push_back(std::move(state));
    }
    if (s.slot == Segment::kNoSlot) return;
    executed_.partials += group_size;
    executed_.merge_bytes += std::int64_t{group_size} * (2 + step_.shape.head_dim) * 4;
    slots_[static_cast<std::size_t>(s.slot)] = std::move(states);
  }

  State attend(const Segment& s, int head) const {
    State state{-kInfinity, 0.0f, std::vector<float>(static_cast<std::size_t>(step_.shape.head_dim))};
    std::int64_t begin = plan_->token_begin(s);
    std::int64_t end = plan_->token_end(s);
    const std::int64_t length = step_.lengths.at(s.row);
    if (is(Fault::kDropsFirstTokenOfSegments) && begin > 0) ++begin;
    if (is(Fault::kDropsLastToken) && end == length) --end;
    if (is(Fault::kReadsToTheEndOfThePage) && end == length)
      end = (end + step_.page_size - 1) / step_.page_size * step_.page_size;
    for (std::int64_t token = begin; token < end; ++token) add(s, head, token, state);
    if (is(Fault::kDoublesLastTokenOfSegments) && end < length) add(s, head, end - 1, state);
    if (is(Fault::kMultipliesMaskedValues) && end == length && length % step_.page_size != 0) {
      const std::int64_t offset = element(layer_.kv.v, s, length);
      for (std::size_t i = 0; i < state.acc.size(); ++i)
        state.acc[i] += 0.0f * load_element(layer_.kv.v.data, step_.dtype, offset + static_cast<std::int64_t>(i));
    }
    return state;
  }

  [[nodiscard]] std::int64_t element(const PagedTensorView& tensor, const Segment& s, std::int64_t token) const {
    std::int64_t page = step_.table.page(step_.table.base(s.row), token / step_.page_size);
    if (is(Fault::kIgnoresTableRowIds) || is(Fault::kIgnoresEntryDivisor))  // wrong, but not wild
      page = std::clamp<std::int64_t>(page, 0, step_.num_pages - 1);
    const std::int64_t dense_page = std::int64_t{step_.page_size} * step_.shape.num_kv_heads * step_.shape.head_dim;
    const std::int64_t page_stride = is(Fault::kIgnoresPageStride) ? dense_page : tensor.page_stride;
    std::int64_t head_stride = tensor.head_stride;
    if (is(Fault::kIgnoresHeadStride)) head_stride = step_.shape.head_dim;
    std::int64_t head = step_.shape.num_kv_heads == 1 ? 0 : s.kv_head * head_stride;
    if (is(Fault::kUsesHeadStrideOfOneHead) && step_.shape.num_kv_heads == 1 && tensor.head_stride < 0) head = -1;
    return page * page_stride + token % step_.page_size * tensor.token_stride + head;
  }

  void add(const Segment& s, int head, std::int64_t token, State& state) const {
    const std::int64_t q_row = row_of(layer_.q.row_ids, s.row, is(Fault::kIgnoresQueryRowIds));
    const std::int64_t q_offset = q_row * layer_.q.row_stride + head * layer_.q.head_stride;
    const std::int64_t k_offset = element(layer_.kv.k, s, token);
    float score = 0.0f;
    for (std::int64_t i = 0; i < step_.shape.head_dim; ++i)
      score += load_element(layer_.q.data, step_.dtype, q_offset + i) *
               load_element(layer_.kv.k.data, step_.dtype, k_offset + i);
    score *= static_cast<float>(step_.shape.scale());
    const float max = is(Fault::kSubtractsNoMaximum) ? 0.0f : std::max(state.max, score);
    const float shrink = is(Fault::kSubtractsNoMaximum) ? 1.0f : std::exp(state.max - max);
    const float weight = std::exp(score - max);
    state.max = max;
    state.sum = state.sum * shrink + weight;
    const std::int64_t v_offset =
        element(is(Fault::kUsesStridesOfKForV) ? PagedTensorView{layer_.kv.v.data, layer_.kv.k.page_stride,
                                                                 layer_.kv.k.token_stride, layer_.kv.k.head_stride}
                                               : layer_.kv.v,
                s, token);
    for (std::size_t i = 0; i < state.acc.size(); ++i) {
      const float value = load_element(layer_.kv.v.data, step_.dtype, v_offset + static_cast<std::int64_t>(i));
      state.acc[i] = state.acc[i] * shrink + weight * value;
      if (is(Fault::kRoundsAccumulators)) state.acc[i] = bf16_to_f32(f32_to_bf16(state.acc[i]));
    }
  }

  void merge(const Merge& m) {
    std::vector<std::int32_t> slots(plan_->slots(m).begin(), plan_->slots(m).end());
    if (is(Fault::kMergesAllButTheLastPartial) && slots.size() > 1) slots.pop_back();
    if (is(Fault::kIsNotDeterministic) && runs_count()++ % 3 == 1) std::reverse(slots.begin(), slots.end());
    const int group_size = step_.shape.group_size();
    for (int g = 0; g < group_size; ++g) {
      State total{-kInfinity, 0.0f, std::vector<float>(static_cast<std::size_t>(step_.shape.head_dim))};
      for (const std::int32_t slot : slots) {
        const State& part = slots_[static_cast<std::size_t>(slot)][static_cast<std::size_t>(g)];
        const float max = std::max(total.max, part.max);
        const bool rescale = !is(Fault::kMergesWithoutRescaling);
        const float old_weight = rescale ? std::exp(total.max - max) : 1.0f;
        float new_weight = rescale ? std::exp(part.max - max) : 1.0f;
        if (is(Fault::kAveragesPartials)) new_weight /= part.sum;
        total.max = max;
        total.sum = total.sum * old_weight + part.sum * new_weight;
        for (std::size_t i = 0; i < total.acc.size(); ++i)
          total.acc[i] = total.acc[i] * old_weight + part.acc[i] * new_weight;
      }
      write(m.row, m.kv_head * group_size + g, total);
    }
  }

  /// Outlives prepared steps, as state that should not be there does.
  static int& runs_count() {
    static int count = 0;
    return count;
  }

  void write(std::int64_t row, int head, const State& state) const {
    const std::int64_t out_row = row_of(layer_.out.row_ids, row, is(Fault::kIgnoresOutputRowIds));
    const DType dtype = is(Fault::kWritesOutInTheStepsDtype) ? step_.dtype : layer_.out.dtype;
    const std::int64_t offset = out_row * layer_.out.row_stride + head * layer_.out.head_stride;
    for (std::size_t i = 0; i < state.acc.size(); ++i)
      store_element(layer_.out.data, dtype, offset + static_cast<std::int64_t>(i), state.acc[i] / state.sum);
    const bool gap = layer_.out.head_stride > step_.shape.head_dim && layer_.out.row_stride > step_.shape.head_dim;
    if (is(Fault::kWritesPastTheHead) && gap)
      store_element(layer_.out.data, dtype, offset + step_.shape.head_dim, 0.0f);
    if (!layer_.lse) return;
    if (is(Fault::kForgetsLseOfEmptyRows) && state.max == -kInfinity) return;
    float lse = state.max + std::log(state.sum);
    if (layer_.lse->base == LseBase::kTwo && !is(Fault::kAlwaysNaturalLse)) lse /= std::numbers::ln2_v<float>;
    layer_.lse
        ->data[is(Fault::kIgnoresLseStrides) ? out_row * step_.shape.num_q_heads + head
                                             : out_row * layer_.lse->row_stride + head * layer_.lse->head_stride] = lse;
  }

  Step step_;
  std::shared_ptr<const WorkPlan> plan_;
  Fault fault_;
  Layer layer_;
  std::vector<std::vector<State>> slots_;  // [num_slots][group_size]
  ExecutedCounters executed_;
};

class ModelBackend : public Backend {
 public:
  ModelBackend(Fault fault, bool on_device) : fault_(fault) {
    if (on_device) capabilities_.device_lengths.assign(kAllSchedules.begin(), kAllSchedules.end());
    capabilities_.schedules.assign(kAllSchedules.begin(), kAllSchedules.end());
    capabilities_.dtypes = {DType::kF16, DType::kBF16, DType::kF32};
    capabilities_.head_dim_multiple = 8;
    capabilities_.max_head_dim = 256;
    capabilities_.any_plan = true;
  }

  [[nodiscard]] std::string_view name() const noexcept override { return "model"; }
  [[nodiscard]] const Capabilities& capabilities() const noexcept override { return capabilities_; }

  [[nodiscard]] std::unique_ptr<PreparedStep> prepare(const Step& given, Schedule schedule,
                                                      const PlanOptions& options) override {
    Step step = given;
    if (!capabilities_.device_lengths.empty())
      relabel({&step.lengths.values, &step.table.entries, &step.table.row_offsets, &step.table.row_ids});
    if (fault_ == Fault::kIgnoresDelta) step.lengths.delta = 0;
    if (!check(step)) return make({}, make_plan(schedule, {}, {.num_workers = 1}));
    PlanOptions complete = options;
    if (complete.num_workers == 0) complete.num_workers = 3;
    return make(step, make_step_plan(step, schedule, complete));
  }

  [[nodiscard]] std::unique_ptr<PreparedStep> prepare(const Step& step, WorkPlan plan) override {
    (void)check(step);
    bool same = plan.batch() == step.batch && plan.num_q_heads() == step.shape.num_q_heads &&
                plan.num_kv_heads() == step.shape.num_kv_heads && plan.head_dim() == step.shape.head_dim;
    for (std::int64_t row = 0; same && row < step.batch; ++row)
      same = plan.lengths()[static_cast<std::size_t>(row)] == step.lengths.at(row);
    if (!same && fault_ != Fault::kTakesForeignPlans) throw InvalidArgument("the plan is not this step's");
    return make(step, std::move(plan));
  }

 private:
  /// False where a broken model takes a bad step, and does nothing with it.
  [[nodiscard]] bool check(const Step& step) const {
    try {
      step.validate();
    } catch (const InvalidArgument&) {
      if (fault_ == Fault::kChecksNoSteps) return false;
      throw;
    }
    const std::string reason = capabilities_.why_not(step.shape, step.dtype, step.page_size);
    if (!reason.empty() && fault_ != Fault::kRunsUnsupportedShapes) throw Unsupported(reason);
    return true;
  }

  std::unique_ptr<PreparedStep> make(const Step& step, WorkPlan plan) {
    const auto shared = std::make_shared<const WorkPlan>(std::move(plan));
    if (first_ == nullptr || fault_ != Fault::kSharesTheLastPlan) first_ = shared;
    const bool usable = std::equal(first_->lengths().begin(), first_->lengths().end(), shared->lengths().begin(),
                                   shared->lengths().end()) &&
                        first_->num_q_heads() == shared->num_q_heads();
    return std::make_unique<ModelPrepared>(step, usable ? first_ : shared, fault_);
  }

  Fault fault_;
  Capabilities capabilities_;
  std::shared_ptr<const WorkPlan> first_;
};

}  // namespace

std::unique_ptr<Backend> make_model_backend(Fault fault, bool on_device) {
  return std::make_unique<ModelBackend>(fault, on_device);
}

}  // namespace pkv::conformance
