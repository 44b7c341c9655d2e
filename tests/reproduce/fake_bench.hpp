#pragma once

// A bench without a GPU: times that follow from the route and the window, results that are right (zeros, since V is).

#include "persistentkv/core/error.hpp"
#include "persistentkv/plan/planner.hpp"
#include "reproduce/bench.hpp"

#include <map>
#include <set>

namespace pkv::reproduce::testing {

class FakeBench : public Bench {
 public:
  std::map<Route, double> layer_times_us{
      {Route::kFlashInferCudaCore, 140.0}, {Route::kFlashInferTensorCore, 120.0}, {Route::kStream, 100.0},
      {Route::kWorkqueue, 110.0},          {Route::kSequenceSplit, 110.0},        {Route::kWorkqueueFused, 105.0},
      {Route::kExactBuckets, 130.0}};
  std::map<Route, double> plan_times_us{{Route::kFlashInferCudaCore, 20.0}, {Route::kFlashInferTensorCore, 30.0}};
  std::set<Route> absent;
  bool has_cublas = true;
  float wrong_by = 0.0F;  ///< of outputs of `stream`
  Route policy_takes = Route::kStream;
  std::int64_t windows = 0;

  [[nodiscard]] std::string why_not(Route route, const AttentionShape& /*shape*/, int /*page_size*/) const override {
    return absent.contains(route) ? "is absent" : "";
  }
  void begin_step(const BenchStep& step) override {
    step.step.validate();
    step_ = step;
  }
  [[nodiscard]] RouteSpec choose(const RouteSpec& spec, int /*layers_per_plan*/) const override {
    return spec.route == Route::kPolicy ? RouteSpec{policy_takes, 0} : spec;
  }
  WindowTimes time(const RouteSpec& spec, const Window& window, int repeats) override {
    windows += repeats;
    const Route route = choose(spec, 1).route;
    WindowTimes times;
    times.plan_us = window.planned_inside ? plan_us(route) : 0.0;
    times.event_us = layer_times_us.at(route) + times.plan_us + (window.rows == RowAccess::kGathered ? 5.0 : 0.0);
    times.wall_us = window.queued ? 0.0 : times.event_us + 10.0;
    return times;
  }
  ExecutedCounters run(const RouteSpec& spec) override {
    const Route route = choose(spec, 1).route;
    last_ = route;
    const auto schedule = schedule_of(route);
    if (!schedule) return {};
    std::vector<std::int32_t> lengths, capacities;
    for (std::int64_t row = 0; row < step_.step.batch; ++row) {
      lengths.push_back(static_cast<std::int32_t>(step_.step.lengths.at(row)));
      capacities.push_back(static_cast<std::int32_t>(step_.step.table.capacity_pages(row)) * step_.step.page_size);
    }
    PlanOptions options;
    options.splits = spec.splits;
    options.num_workers = 132;
    const PlanCounters c = make_plan(*schedule, {step_.step.shape, lengths, capacities}, options).counters();
    return {c.launches, c.merge_launches, c.decode_ctas, c.segments, c.partials, c.merge_bytes, c.kv_tokens};
  }
  [[nodiscard]] std::vector<float> output() override {
    const auto elements = step_.step.batch * step_.step.shape.num_q_heads * step_.step.shape.head_dim;
    return std::vector<float>(static_cast<std::size_t>(elements), last_ == Route::kStream ? wrong_by : 0.0F);
  }
  [[nodiscard]] RowOnHost row(std::int64_t row) override {
    const std::int64_t pages = (step_.step.lengths.at(row) + step_.step.page_size - 1) / step_.step.page_size;
    const AttentionShape& shape = step_.step.shape;
    RowOnHost data;
    data.k.resize(static_cast<std::size_t>(pages * step_.step.page_size * shape.num_kv_heads * shape.head_dim));
    data.v.resize(data.k.size());
    data.q.resize(static_cast<std::size_t>(shape.num_q_heads * shape.head_dim));
    return data;
  }
  [[nodiscard]] double limit_us() override { return 90.0; }
  [[nodiscard]] double layer_us(std::span<const BenchStep> steps, const RouteSpec& spec,
                                const LayerLoop& loop) override {
    begin_step(steps.front());
    return layer_times_us.at(choose(spec, 1).route) + (loop.graph ? 0.0 : 1.0) +
           (loop.with_mlp ? mlp_us(static_cast<int>(step_.step.batch), loop) : 0.0);
  }
  [[nodiscard]] double mlp_us(int /*batch*/, const LayerLoop& /*loop*/) override {
    if (!has_cublas) throw Unsupported("cuBLAS was not found");
    return 95.0;
  }

 private:
  [[nodiscard]] double plan_us(Route route) const {
    const auto found = plan_times_us.find(route);
    return found == plan_times_us.end() ? 2.0 : found->second;
  }

  BenchStep step_;
  Route last_ = Route::kStream;
};

}  // namespace pkv::reproduce::testing
