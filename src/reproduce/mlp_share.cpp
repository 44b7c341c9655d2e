#include "report/table.hpp"
#include "sections.hpp"
#include "trace_steps.hpp"
#include "writing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace pkv::reproduce {

namespace {

constexpr int kModelLayers = 32;  // of Llama-3.1-8B: a step's plan serves them all
constexpr int kSampledSteps = 4;

/// Means over the sampled steps.
struct Share {
  RouteSpec spec;
  double layer_us = 0.0;  ///< attention and MLP, and a layer's part of the plan
  double mlp_us = 0.0;
  double plan_us = 0.0;
  double limit_us = 0.0;
  double kv_bytes = 0.0;

  [[nodiscard]] double attention_us() const noexcept { return layer_us - mlp_us; }
};

std::vector<Share> shares_of(Bench& bench, const Effort& effort, const MainRow& row) {
  const PaperRun& run = find_paper_run(row.run);
  std::vector<Share> shares;
  const std::vector<RouteSpec> routes = main_routes(row);
  shares.reserve(routes.size());
  for (const RouteSpec& spec : routes)
    if (bench.why_not(spec.route, kPaperShape, kPageSize).empty()) shares.push_back({.spec = spec});
  TraceSteps steps(run, kHeldOutSeeds.front(), kPaperShape);
  BenchStep step;
  const std::int64_t every = std::max<std::int64_t>(run.num_steps / kSampledSteps, 1);
  const LayerLoop loop{.layers = 16, .with_mlp = true};
  double samples = 0.0;
  for (std::int64_t s = 0; s < run.num_steps && steps.next(step); ++s) {
    if (s % every != 0) continue;
    samples += 1.0;
    const double mlp_us = bench.mlp_us(static_cast<int>(step.step.batch), loop);
    for (Share& share : shares) {
      bench.begin_step(step);
      const RouteSpec chosen = bench.choose(share.spec, kModelLayers);
      const double plan_us = bench.time(chosen, kFair, effort.repeats).plan_us;
      share.limit_us += bench.limit_us();
      share.plan_us += plan_us;
      share.kv_bytes += static_cast<double>(step.step.useful_kv_bytes());
      share.mlp_us += mlp_us;
      share.layer_us += bench.layer_us({&step, 1}, chosen, loop) + plan_us / kModelLayers;
    }
  }
  for (Share& share : shares)
    for (double* sum : {&share.layer_us, &share.mlp_us, &share.plan_us, &share.limit_us, &share.kv_bytes})
      *sum /= samples;
  return shares;
}

}  // namespace

void mlp_share(Bench& bench, const Effort& effort, Output& output) {
  report::Table table({"trace", "route", "layer", "MLP", "attention", "share", "layer over tensor-core"},
                      {"", "", "us", "us", "us", "%", ""});
  for (const MainRow& row : main_rows()) {
    const std::vector<Share> shares = shares_of(bench, effort, row);
    const auto reference = std::find_if(shares.begin(), shares.end(), [](const Share& share) {
      return share.spec.route == Route::kFlashInferTensorCore;
    });
    for (const Share& share : shares) {
      const double percent = 100.0 * share.attention_us() / share.layer_us;
      const bool compared = reference != shares.end();
      table.add({std::string(row.run), label(share.spec), cell(share.layer_us, 1), cell(share.mlp_us, 1),
                 cell(share.attention_us(), 1), cell(percent, 1),
                 compared ? cell(reference->layer_us / share.layer_us, 3) : "-"});
      nlohmann::ordered_json json = row_of("mlp", row.run, kPaperShape, share.spec);
      json["seed"] = kHeldOutSeeds.front();
      json["batch"] = find_paper_run(row.run).max_active;
      json["kv_bytes"] = share.kv_bytes;
      json["time_us"] = share.attention_us();
      json["plan_us"] = share.plan_us;
      json["limit_us"] = share.limit_us;
      json["layer_us"] = share.layer_us;
      json["mlp_us"] = share.mlp_us;
      json["attention_share"] = percent / 100.0;
      json["layer_over_tensor_core"] =
          compared ? nlohmann::ordered_json(reference->layer_us / share.layer_us) : nullptr;
      output.results["rows"].push_back(std::move(json));
    }
  }
  output.print(fmt::format(
      "Attention beside the MLP of a Llama-3.1-8B layer (4096, 14336, SwiGLU, FP16, cuBLAS) in one stream; a step's "
      "plan\ncounts as 1 / {} a layer; means over {} steps of a trace. The paper publishes no figures\n\n{}",
      kModelLayers, kSampledSteps, table.text()));
}

}  // namespace pkv::reproduce
