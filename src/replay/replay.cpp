#include "replay.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <utility>

namespace pkv::replay {

namespace {

/// Queries, outputs and LSE of one step, dense.
class Tensors {
 public:
  Tensors(const ReplayOptions& options, std::int64_t max_batch_hint) : shape_(options.shape), dtype_(options.dtype) {
    reserve(max_batch_hint);
  }

  Layer layer(const Step& step, const KvCacheView& kv, std::mt19937& rng) {
    reserve(step.batch);
    std::normal_distribution<float> normal;
    for (std::int64_t i = 0; i < step.batch * width(); ++i) store_element(q_.data(), dtype_, i, normal(rng));
    Layer layer = Layer::dense(step, kv, q_.data(), out_.data());
    layer.lse = LseView{.data = lse_.data(), .row_stride = shape_.num_q_heads};
    return layer;
  }

 private:
  [[nodiscard]] std::int64_t width() const { return std::int64_t{shape_.num_q_heads} * shape_.head_dim; }
  void reserve(std::int64_t batch) {
    const auto bytes = static_cast<std::size_t>(batch * width() * size_bytes(dtype_));
    const auto results = static_cast<std::size_t>(batch * shape_.num_q_heads);
    if (q_.size() >= bytes) return;
    q_.resize(bytes);
    out_.resize(bytes);
    lse_.resize(results);
  }

  AttentionShape shape_;
  DType dtype_;
  std::vector<std::byte> q_;    // [batch, num_q_heads, head_dim]
  std::vector<std::byte> out_;  // [batch, num_q_heads, head_dim]
  std::vector<float> lse_;      // [batch, num_q_heads]
};

void add(ExecutedCounters& sum, const ExecutedCounters& x) {
  sum.launches += x.launches;
  sum.merge_launches += x.merge_launches;
  sum.decode_ctas += x.decode_ctas;
  sum.segments += x.segments;
  sum.partials += x.partials;
  sum.merge_bytes += x.merge_bytes;
  sum.kv_tokens += x.kv_tokens;
  sum.reserved_pages += x.reserved_pages;
}

class Replayer {
 public:
  Replayer(Workload& workload, ReplayDevice& device, const ReplayOptions& options)
      : workload_(workload),
        device_(device),
        options_(options),
        tensors_(options, 1),
        rng_(options.seed),
        samples_(options.routes.size()) {
    if (options.routes.empty()) throw InvalidArgument("routes is empty, must name at least one");
    if (options.max_steps < 1) throw InvalidArgument(fmt::format("max_steps is {}, must be >= 1", options.max_steps));
    if (options.layers < 1) throw InvalidArgument(fmt::format("layers is {}, must be >= 1", options.layers));
    if (options.clock == Clock::kProfile && options.router == nullptr)
      throw InvalidArgument("clock is profile, but there is no profile");
    result_.routes.resize(options.routes.size());
  }

  ReplayResult run() {
    WorkloadStep rows;
    while (result_.steps < options_.max_steps && workload_.next(rows)) {
      run_step(rows);
      workload_.finish(clock_us(rows));
      ++result_.steps;
      if (options_.progress) options_.progress(result_.steps);
    }
    return finish();
  }

 private:
  struct Samples {
    std::vector<double> time_us;
    std::vector<double> plan_us;
    std::vector<double> step_us;
  };

  [[nodiscard]] Step make_step(const WorkloadStep& rows) const {
    Step step;
    step.shape = options_.shape;
    step.dtype = options_.dtype;
    step.page_size = workload_.page_size();
    step.num_pages = workload_.num_pages();
    step.batch = static_cast<std::int64_t>(rows.lengths.size());
    step.lengths.values = IndexView::host(rows.lengths.data(), step.batch);
    step.table = rows.table;
    return step;
  }

  void run_step(const WorkloadStep& rows) {
    const Step step = make_step(rows);
    const Layer layer = tensors_.layer(step, device_.host_kv(), rng_);
    count(step, rows);

    const bool check = options_.check_every > 0 && result_.steps % options_.check_every == 0;
    std::optional<StepOracle> oracle;
    if (check) {
      oracle.emplace(step, layer);
      result_.checked_steps.push_back(result_.steps);
    }
    device_.begin_step(step, layer);
    if (result_.steps == 0) device_.warm_up(options_.routes);
    if (const double us = device_.read_limit_us(); us > 0.0) limit_us_.push_back(us);
    const std::size_t routes = options_.routes.size();
    for (std::size_t i = 0; i < routes; ++i) {
      const std::size_t route = (i + static_cast<std::size_t>(result_.steps)) % routes;
      run_route(route);
      if (oracle) oracle->compare(layer, result_.routes[route].accuracy);
    }
  }

  void run_route(std::size_t route) {
    const RouteRun run = device_.run(options_.routes[route]);
    Samples& samples = samples_[route];
    samples.plan_us.push_back(run.plan_us);
    samples.time_us.push_back(run.time_us);
    samples.step_us.push_back(run.plan_us + run.time_us);
    add(result_.routes[route].executed, run.executed);
  }

  void count(const Step& step, const WorkloadStep& rows) {
    lengths_.assign(rows.lengths.begin(), rows.lengths.end());
    std::sort(lengths_.begin(), lengths_.end());
    result_.distinct_lengths += std::unique(lengths_.begin(), lengths_.end()) - lengths_.begin();
    result_.rows += step.batch;
    const std::int64_t useful = step.useful_kv_bytes();
    result_.useful_kv_bytes += useful;
    std::int64_t tokens = 0;
    std::int64_t page_tokens = 0;
    for (const std::int64_t length : rows.lengths) {
      tokens += length;
      page_tokens += (length + step.page_size - 1) / step.page_size * step.page_size;
    }
    result_.kv_tokens += tokens;
    result_.page_bytes += tokens > 0 ? useful / tokens * page_tokens : 0;
  }

  [[nodiscard]] double clock_us(const WorkloadStep& rows) const {
    double layer_us = samples_[0].step_us.back();
    if (options_.clock == Clock::kProfile) {
      PolicyInput input;
      input.step = {.shape = options_.shape, .lengths = rows.lengths, .capacity_tokens = rows.capacity_tokens};
      input.dtype = options_.dtype;
      input.page_size = workload_.page_size();
      const Choice choice = options_.router->choose(input);
      input.options.splits = choice.splits;
      layer_us = estimate_cost(options_.router->profile(), choice.route, input, summarize(input)).total_us;
    }
    return layer_us * options_.layers;
  }

  [[nodiscard]] std::string describe_clock() const {
    if (workload_.arrival_unit() == ArrivalUnit::kSteps) return "arrivals count decode steps";
    const std::string layers = options_.layers == 1 ? "" : fmt::format(", times {} layers", options_.layers);
    if (options_.clock == Clock::kProfile)
      return fmt::format("virtual: a step lasts what profile {} estimates for its choice{}",
                         options_.router->profile().name, layers);
    return fmt::format("virtual: a step lasts what {} took, planning included{}; prefill takes no time",
                       to_string(options_.routes[0].route), layers);
  }

  ReplayResult finish() {
    result_.workload = workload_.name();
    result_.page_size = workload_.page_size();
    result_.num_pages = workload_.num_pages();
    result_.clock = describe_clock();
    result_.account = workload_.account();
    const double limit_us = summarize(limit_us_).mean;
    for (std::size_t r = 0; r < result_.routes.size(); ++r) {
      RouteResult& route = result_.routes[r];
      Samples& samples = samples_[r];
      const double total_us = std::accumulate(samples.step_us.begin(), samples.step_us.end(), 0.0);
      route.name = to_string(options_.routes[r].route);
      route.tokens_per_s = total_us > 0.0 ? static_cast<double>(result_.rows) / total_us * 1e6 : 0.0;
      route.time_us = summarize(std::move(samples.time_us));
      route.plan_us = summarize(std::move(samples.plan_us));
      route.step_us = summarize(std::move(samples.step_us));
      route.limit_us = limit_us;
    }
    return std::move(result_);
  }

  Workload& workload_;
  ReplayDevice& device_;
  const ReplayOptions& options_;
  Tensors tensors_;
  std::mt19937 rng_;
  std::vector<Samples> samples_;  // [routes]
  std::vector<double> limit_us_;
  std::vector<std::int32_t> lengths_;
  ReplayResult result_;
};

}  // namespace

ReplayResult run_replay(Workload& workload, ReplayDevice& device, const ReplayOptions& options) {
  return Replayer(workload, device, options).run();
}

}  // namespace pkv::replay
