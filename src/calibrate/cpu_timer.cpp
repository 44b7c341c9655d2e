#include "cpu_timer.hpp"

#include "persistentkv/core/layer.hpp"
#include "persistentkv/cpu/cpu_backend.hpp"
#include "persistentkv/measure/huge_buffer.hpp"
#include "persistentkv/measure/kv_readers.hpp"
#include "timed_steps.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <random>

namespace pkv::calibrate {

namespace {

constexpr std::uint32_t kSeed = 1;
constexpr std::int64_t kPatternBytes = 1 << 20;

std::int64_t pages_of(const Lengths& lengths, int page_size) {
  std::int64_t pages = 0;
  for (const std::int32_t tokens : lengths) pages += (std::max(tokens, 0) + page_size - 1) / page_size;
  return pages;
}

/// Normal values, repeated: what is multiplied does not change how fast it is read.
void fill(std::byte* memory, std::int64_t num_bytes, DType dtype) {
  std::mt19937_64 random(kSeed);
  std::normal_distribution<float> normal;
  const std::int64_t pattern = std::min(kPatternBytes, num_bytes);
  for (std::int64_t i = 0; i < pattern / size_bytes(dtype); ++i) store_element(memory, dtype, i, normal(random));
  for (std::int64_t at = pattern; at < num_bytes; at += pattern)
    std::copy_n(memory, std::min(pattern, num_bytes - at), memory + at);
}

/// A shape's pages in random order, and steps cut from them.
class Pool {
 public:
  Pool(const TimedShape& shape, std::int64_t num_pages)
      : shape_(shape),
        num_pages_(num_pages),
        memory_(KvCacheView::num_elements(shape.shape, shape.page_size, num_pages) * size_bytes(shape.dtype)),
        order_(static_cast<std::size_t>(num_pages)) {
    fill(memory_.data(), memory_.size_bytes(), shape.dtype);
    kv_ = KvCacheView::dense(KvLayout::kHND, shape.shape, shape.dtype, shape.page_size, num_pages, memory_.data(),
                             memory_.data() + memory_.size_bytes() / 2);
    std::iota(order_.begin(), order_.end(), 0);
    std::shuffle(order_.begin(), order_.end(), std::mt19937_64(kSeed));
  }

  [[nodiscard]] const TimedShape& shape() const noexcept { return shape_; }
  [[nodiscard]] std::int64_t num_pages() const noexcept { return num_pages_; }
  [[nodiscard]] const KvCacheView& kv() const noexcept { return kv_; }
  [[nodiscard]] const std::vector<std::int32_t>& order() const noexcept { return order_; }

 private:
  TimedShape shape_;
  std::int64_t num_pages_;
  HugeBuffer memory_;
  KvCacheView kv_;
  std::vector<std::int32_t> order_;
};

/// The same lengths on one part of the pool after the other.
class Turns {
 public:
  Turns(const Pool& pool, const Lengths& lengths) : pool_(pool), lengths_(lengths) {
    const TimedShape& shape = pool.shape();
    const auto batch = static_cast<std::int64_t>(lengths.size());
    for (const std::int32_t tokens : lengths_)
      row_pages_ = std::max<std::int64_t>(row_pages_, pages_of({tokens}, shape.page_size));
    const std::int64_t step_pages = std::max<std::int64_t>(pages_of(lengths_, shape.page_size), 1);
    count_ = static_cast<std::size_t>(std::clamp<std::int64_t>(pool.num_pages() / step_pages, 1, kMostTurns));
    tables_.assign(count_ * static_cast<std::size_t>(batch * row_pages_), -1);
    const std::int32_t* page = pool.order().data();
    for (std::size_t row = 0; row < count_ * lengths_.size(); ++row) {
      const std::int64_t pages = pages_of({lengths_[row % lengths_.size()]}, shape.page_size);
      std::copy_n(page, pages, tables_.data() + static_cast<std::int64_t>(row) * row_pages_);
      page += pages;
    }
    const auto vectors =
        static_cast<std::size_t>(batch * shape.shape.num_q_heads * shape.shape.head_dim * size_bytes(shape.dtype));
    q_.resize(std::max<std::size_t>(vectors, 1));
    out_.resize(q_.size());
    fill(q_.data(), static_cast<std::int64_t>(vectors), shape.dtype);
  }

  [[nodiscard]] Step next() {
    turn_ = (turn_ + 1) % count_;
    const TimedShape& shape = pool_.shape();
    const auto batch = static_cast<std::int64_t>(lengths_.size());
    const std::int32_t* table = tables_.data() + static_cast<std::int64_t>(turn_) * batch * row_pages_;
    Step step;
    step.shape = shape.shape;
    step.dtype = shape.dtype;
    step.page_size = shape.page_size;
    step.num_pages = pool_.num_pages();
    step.batch = batch;
    step.lengths.values = IndexView::host(lengths_.data(), batch);
    step.table = PageTableView::dense(table, batch, row_pages_);
    return step;
  }

  [[nodiscard]] Layer layer(const Step& step) { return Layer::dense(step, pool_.kv(), q_.data(), out_.data()); }

 private:
  static constexpr std::int64_t kMostTurns = 64;

  const Pool& pool_;
  Lengths lengths_;
  std::int64_t row_pages_ = 0;
  std::size_t count_ = 1;
  std::size_t turn_ = 0;
  std::vector<std::int32_t> tables_;  // [count, batch, row_pages]
  std::vector<std::byte> q_, out_;
};

class CpuShapeTimer final : public ShapeTimer {
 public:
  CpuShapeTimer(Backend& backend, const TimedShape& shape, std::span<const Choice> choices, int rounds,
                std::int64_t num_pages)
      : backend_(backend), pool_(shape, num_pages), choices_(choices.begin(), choices.end()), rounds_(rounds) {}

  [[nodiscard]] bool fits(const Lengths& lengths) const override {
    return pages_of(lengths, pool_.shape().page_size) <= pool_.num_pages();
  }

  [[nodiscard]] std::vector<fit::RouteTimes> time(const Lengths& lengths) override {
    Turns turns(pool_, lengths);
    std::vector<fit::RouteTimes> times;
    times.reserve(choices_.size());
    for (const Choice& choice : choices_) times.push_back({choice, 0, {}});
    for (int round = -1; round < rounds_; ++round) {  // the first one wakes threads, and does not count
      for (fit::RouteTimes& of : times) {
        if (runs(of.choice.route)) time_once(turns, of, round);
      }
    }
    return times;
  }

 private:
  [[nodiscard]] bool runs(Route route) const {
    const TimedShape& shape = pool_.shape();
    return backend_.capabilities().has_route(route) &&
           backend_.capabilities().why_not(shape.shape, shape.dtype, shape.page_size).empty();
  }

  void time_once(Turns& turns, fit::RouteTimes& times, int round) {
    const Step step = turns.next();
    const Layer layer = turns.layer(step);
    PlanOptions options;
    options.splits = times.choice.splits;
    const Stopwatch plan;
    const std::unique_ptr<PreparedStep> prepared = backend_.prepare_route(step, times.choice.route, options);
    const double plan_us = plan.seconds() * 1e6;
    const Stopwatch run;
    prepared->run(layer);
    const double run_us = run.seconds() * 1e6;
    if (round < 0) return;
    times.plan_us = round == 0 ? plan_us : std::min(times.plan_us, plan_us);
    times.time_us.push_back(run_us);
  }

  Backend& backend_;
  Pool pool_;
  std::vector<Choice> choices_;
  int rounds_;
};

class CpuTimer final : public StepTimer {
 public:
  explicit CpuTimer(const CpuTimerConfig& config)
      : config_(config), backend_(make_cpu_backend({config.num_threads, {}})), readers_(config.num_threads) {
    facts_ = {config.device_name, readers_.num_threads(), fmt::format("SIMD {}", cpu_simd_target()),
              fmt::format("one layer on {} threads, pages not read since the rest of {} MiB was, medians",
                          readers_.num_threads(), config.pool_bytes >> 20)};
  }

  [[nodiscard]] const TimerFacts& facts() const noexcept override { return facts_; }

  [[nodiscard]] std::unique_ptr<ShapeTimer> open(const TimedShape& shape, std::span<const Choice> choices, int rounds,
                                                 const std::vector<Lengths>& /*steps*/) override {
    return std::make_unique<CpuShapeTimer>(*backend_, shape, choices, rounds, pool_pages(shape));
  }

  [[nodiscard]] MeasuredOverheads overheads(const TimedShape& shape, const Lengths& lengths) override {
    constexpr int kRounds = 5;
    const Pool pool(shape, std::max(pages_of(lengths, shape.page_size), pool_pages(shape)));
    Turns turns(pool, lengths);
    std::vector<double> gb_per_s, launch_us;
    for (int round = 0; round < kRounds; ++round) {
      const Step step = turns.next();
      const Stopwatch watch;
      const auto bytes = static_cast<double>(readers_.read_pages(step, pool.kv()));
      gb_per_s.push_back(bytes / watch.seconds() / 1e9);
    }
    // A row of one token: nothing but a launch.
    Turns least(pool, {1});
    for (int round = 0; round < 20 * kRounds; ++round) {
      const Step step = least.next();
      const std::unique_ptr<PreparedStep> prepared = backend_->prepare_route(step, Route::kStream, {});
      const Layer layer = least.layer(step);
      const Stopwatch watch;
      prepared->run(layer);
      launch_us.push_back(watch.seconds() * 1e6);
    }
    MeasuredOverheads measured;
    measured.page_read_gb_per_s = fit::median(std::move(gb_per_s));
    measured.launch_us = fit::median(std::move(launch_us));
    measured.graph_node_us = measured.launch_us;  // there are no graphs: a parallel region is a launch
    return measured;
  }

 private:
  [[nodiscard]] std::int64_t pool_pages(const TimedShape& shape) const {
    return std::max<std::int64_t>(config_.pool_bytes / shape.page_size / shape.kv_bytes_per_token(), 1);
  }

  CpuTimerConfig config_;
  std::unique_ptr<Backend> backend_;
  KvReaders readers_;
  TimerFacts facts_;
};

}  // namespace

std::unique_ptr<StepTimer> make_cpu_timer(const CpuTimerConfig& config) { return std::make_unique<CpuTimer>(config); }

}  // namespace pkv::calibrate
