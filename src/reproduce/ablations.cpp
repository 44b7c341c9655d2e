#include "report/table.hpp"
#include "sections.hpp"
#include "trace_steps.hpp"
#include "writing.hpp"

#include <fmt/format.h>

#include <vector>

namespace pkv::reproduce {

namespace {

constexpr std::int64_t kRotateBytes = 600ll << 20;  // ten times the largest L2
constexpr std::int64_t kPoolBytes = 2ll << 30;

struct Workload {
  std::string name;
  std::vector<std::int32_t> lengths;
};

std::vector<Workload> workloads() {
  std::vector<Workload> all{{"b1-8k", {8192}}};
  for (const char* run : {"bimodal-b8", "zipf-b8"}) {
    TraceSteps steps(find_paper_run(run), kHeldOutSeeds.front(), kPaperShape);
    BenchStep step;
    (void)steps.next(step);
    const auto* lengths = static_cast<const std::int32_t*>(step.step.lengths.values.data);
    all.push_back({fmt::format("{}, first step", run), {lengths, lengths + step.step.batch}});
  }
  return all;
}

/// One way to do it, and the other.
struct Pair {
  const char* question;
  RouteSpec route_a, route_b;
  const char* name_a;
  const char* name_b;
};

class Ablations {
 public:
  Ablations(Bench& bench, const Effort& effort, Output& output)
      : bench_(bench),
        effort_(effort),
        output_(output),
        table_({"workload", "route", "question", "without", "with", "without / with"}, {"", "", "", "us", "us", ""}) {}

  void run() {
    for (const Workload& workload : workloads()) {
      const Rotation rotation(workload.lengths, kPaperShape, kRotateBytes, kPoolBytes / page_bytes(kPaperShape));
      const RouteSpec queue{Route::kWorkqueue, 20};
      for (const RouteSpec& spec : {RouteSpec{Route::kStream, 0}, queue}) {
        const LayerLoop eager{.layers = 32};
        const LayerLoop graph{.layers = 32, .graph = true};
        const double eager_us = bench_.layer_us(rotation.steps(), spec, eager);
        begin(workload, rotation);
        add("graph replay", spec, "eager", eager_us, spec, "graph", layer(rotation, spec, graph));
      }
      begin(workload, rotation);
      const RouteSpec fused{Route::kWorkqueueFused, 20};
      const auto alone = [&](const RouteSpec& spec, RowAccess rows) {
        const Window window{.rows = rows, .queued = true};
        (void)bench_.time(spec, window, 2);
        return bench_.time(spec, window, 4 * effort_.repeats).event_us;
      };
      add("fused merge", queue, "two-launches", alone(queue, RowAccess::kDense), fused, "one-launch",
          alone(fused, RowAccess::kDense));
      for (const RouteSpec& spec : {RouteSpec{Route::kStream, 0}, queue})
        add("q and out by row ids", spec, "gather-and-scatter", alone(spec, RowAccess::kGatheredAndScattered), spec,
            "by-ids", alone(spec, RowAccess::kByIds));
    }
    output_.print(fmt::format("Ablations, a layer alone from cold L2; the paper publishes no figures for them\n\n{}",
                              table_.text()));
  }

 private:
  void begin(const Workload& workload, const Rotation& rotation) {
    workload_ = workload.name;
    step_ = rotation.steps().front();
    bench_.begin_step(step_);
    limit_us_ = bench_.limit_us();
  }

  double layer(const Rotation& rotation, const RouteSpec& spec, const LayerLoop& loop) {
    const double us = bench_.layer_us(rotation.steps(), spec, loop);
    bench_.begin_step(step_);
    return us;
  }

  void add(const char* question, const RouteSpec& without, const char* name_without, double without_us,
           const RouteSpec& with, const char* name_with, double with_us) {
    table_.add(
        {workload_, label(with), question, cell(without_us, 1), cell(with_us, 1), cell(without_us / with_us, 3)});
    write(question, without, name_without, without_us);
    write(question, with, name_with, with_us);
  }

  void write(const char* question, const RouteSpec& spec, const char* variant, double us) {
    nlohmann::ordered_json row = row_of("ablations", workload_, kPaperShape, spec);
    row["question"] = question;
    row["variant"] = variant;
    row["batch"] = step_.step.batch;
    row["kv_bytes"] = step_.step.useful_kv_bytes();
    row["time_us"] = us;
    row["plan_us"] = bench_.time(spec, kFair, effort_.repeats).plan_us;
    row["limit_us"] = limit_us_;
    output_.results["rows"].push_back(std::move(row));
  }

  Bench& bench_;
  const Effort& effort_;
  Output& output_;
  report::Table table_;
  std::string workload_;
  BenchStep step_;
  double limit_us_ = 0.0;
};

}  // namespace

std::int64_t ablations_bytes() { return kPoolBytes; }

void ablations(Bench& bench, const Effort& effort, Output& output) { Ablations(bench, effort, output).run(); }

}  // namespace pkv::reproduce
