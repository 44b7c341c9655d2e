#include "measure_trace.hpp"

#include "trace_steps.hpp"

#include <algorithm>

namespace pkv::reproduce {

namespace {

void add(WindowTimes& sum, const WindowTimes& x) {
  sum.event_us += x.event_us;
  sum.wall_us += x.wall_us;
  sum.plan_us += x.plan_us;
}

void divide(WindowTimes& sum, double by) {
  sum.event_us /= by;
  sum.wall_us /= by;
  sum.plan_us /= by;
}

std::int64_t shortest_row(const Step& step) {
  std::int64_t best = 0;
  for (std::int64_t row = 1; row < step.batch; ++row)
    if (step.lengths.at(row) < step.lengths.at(best)) best = row;
  return best;
}

class TraceMeasurement {
 public:
  TraceMeasurement(Bench& bench, const TraceRequest& request) : bench_(bench), request_(request) {
    times_.workload = request.run->name;
    times_.seed = request.seed;
    times_.shape = request.shape;
    times_.max_active = request.run->max_active;
    times_.routes.reserve(request.routes.size());
    for (const RouteSpec& spec : request.routes)
      times_.routes.push_back({.spec = spec, .why_not = bench.why_not(spec.route, request.shape, kPageSize)});
  }

  TraceTimes run(const std::function<void()>& progress) {
    TraceSteps steps(*request_.run, request_.seed, request_.shape);
    const std::int64_t most =
        request_.max_steps > 0 ? std::min(request_.max_steps, request_.run->num_steps) : request_.run->num_steps;
    BenchStep step;
    while (times_.steps < most && steps.next(step)) {
      bench_.begin_step(step);
      if (times_.steps == 0) warm_up();
      if (times_.steps % request_.check_every == 0) check(step.step);
      times_.kv_bytes += static_cast<double>(step.step.useful_kv_bytes());
      times_.limit_us += bench_.limit_us();
      const std::size_t count = times_.routes.size();
      for (std::size_t i = 0; i < count; ++i) time(times_.routes[(i + static_cast<std::size_t>(times_.steps)) % count]);
      ++times_.steps;
      if (progress) progress();
    }
    finish();
    return std::move(times_);
  }

 private:
  /// Kernels are loaded when they are first used, memory is taken then.
  void warm_up() {
    for (const RouteTimes& route : times_.routes) {
      if (!route.ran()) continue;
      (void)bench_.time(route.spec, kFair, 2);
      (void)bench_.time(route.spec, as_the_paper_timed(bench_.choose(route.spec, 1).route), 2);
    }
    (void)bench_.limit_us();
  }

  void time(RouteTimes& route) {
    if (!route.ran()) return;
    const RouteSpec chosen = bench_.choose(route.spec, 1);
    ++route.chosen[static_cast<std::size_t>(chosen.route)];
    add(route.fair, bench_.time(route.spec, kFair, request_.repeats));
    add(route.paper, bench_.time(chosen, as_the_paper_timed(chosen.route), request_.repeats));
    route.layer_us += bench_.time(chosen, kLayerAlone, request_.repeats).event_us;
  }

  void check(const Step& step) {
    std::vector<float> flashinfer;
    for (const Route route : {Route::kFlashInferTensorCore, Route::kFlashInferCudaCore}) {
      if (!flashinfer.empty() || !bench_.why_not(route, step.shape, kPageSize).empty()) continue;
      bench_.run({route});
      flashinfer = bench_.output();
    }
    const std::int64_t row = shortest_row(step);
    std::vector<double> exact;
    if (times_.steps == 0) exact = expected_row(step, row, bench_.row(row));
    for (RouteTimes& route : times_.routes) {
      if (!route.ran()) continue;
      bench_.run(route.spec);
      const std::vector<float> out = bench_.output();
      if (!flashinfer.empty()) route.against_flashinfer.add<float, float>(out, flashinfer);
      if (!exact.empty()) {
        const auto width =
            static_cast<std::size_t>(step.shape.num_q_heads) * static_cast<std::size_t>(step.shape.head_dim);
        route.against_fp64.add<float, double>(std::span(out).subspan(static_cast<std::size_t>(row) * width, width),
                                              exact);
      }
    }
  }

  void finish() {
    const auto steps = static_cast<double>(std::max<std::int64_t>(times_.steps, 1));
    times_.kv_bytes /= steps;
    times_.limit_us /= steps;
    for (RouteTimes& route : times_.routes) {
      divide(route.fair, steps);
      divide(route.paper, steps);
      route.layer_us /= steps;
    }
  }

  Bench& bench_;
  const TraceRequest& request_;
  TraceTimes times_;
};

}  // namespace

const RouteTimes* TraceTimes::find(Route route) const noexcept {
  const auto found =
      std::find_if(routes.begin(), routes.end(), [&](const RouteTimes& r) { return r.spec.route == route && r.ran(); });
  return found == routes.end() ? nullptr : &*found;
}

TraceTimes measure_trace(Bench& bench, const TraceRequest& request, const std::function<void()>& progress) {
  return TraceMeasurement(bench, request).run(progress);
}

}  // namespace pkv::reproduce
