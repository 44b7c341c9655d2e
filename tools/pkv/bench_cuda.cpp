#include "bench.hpp"
#include "bench_processes.hpp"
#include "commands.hpp"
#include "cuda_bench/cuda_bench.hpp"
#include "cuda_device.hpp"
#include "persistentkv/core/error.hpp"
#include "progress.hpp"
#include "report/json_file.hpp"
#include "report/table.hpp"
#include "workload_choice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace pkv::cli {

namespace {

std::vector<cuda_bench::Variant> chosen_variants(const BenchOptions& options, bool tile_given) {
  if (options.chained != "no" && options.chained != "yes" && options.chained != "both")
    throw InvalidArgument(fmt::format("chained is '{}', must be no, yes or both", options.chained));
  std::vector<cuda_bench::Variant> variants;
  for (const std::string& route : options.routes) {
    cuda_bench::Variant variant;
    variant.route = parse_route(route);
    if (variant.route == Route::kPolicy) throw InvalidArgument("routes has policy, must be routes that run a step");
    if (const auto schedule = schedule_of(variant.route))
      variant.options = options.cut.resolve(*schedule, std::nullopt);
    if (variant.route == Route::kStream && !tile_given) variant.options.tile_tokens = kCudaStreamTileTokens;
    for (const bool pdl : {false, true}) {
      variant.pdl = pdl;
      if (options.chained == "both" || (options.chained == "yes") == pdl) variants.push_back(variant);
    }
  }
  return variants;
}

std::vector<int> kv_heads_of(const BenchOptions& options) {
  return options.kv_heads.empty() ? std::vector{options.shape.shape.num_kv_heads} : options.kv_heads;
}

/// Those of `variants` that somebody runs for the bench's shape. Throws Unsupported where there are none.
std::vector<cuda_bench::Variant> served(const std::vector<cuda_bench::Variant>& variants,
                                        const cuda_bench::CudaBench& bench) {
  std::vector<cuda_bench::Variant> kept;
  kept.reserve(variants.size());
  std::string reasons;
  for (const cuda_bench::Variant& variant : variants) {
    const std::string why = bench.why_not(variant.route);
    if (why.empty())
      kept.push_back(variant);
    else
      reasons = fmt::format("nobody runs {} for this shape: {}", to_string(variant.route), why);
  }
  if (kept.empty()) throw Unsupported(reasons);
  return kept;
}

/// Everything once, as rows of results.
nlohmann::ordered_json measure(const BenchOptions& options) {
  const std::vector<Workload> workloads = choose_workloads(options.lengths, options.suite, options.only);
  std::vector<std::vector<std::int32_t>> lengths;
  lengths.reserve(workloads.size());
  for (const Workload& w : workloads) lengths.push_back(w.lengths);
  const std::vector<int> kv_heads = kv_heads_of(options);
  const std::vector<cuda_bench::Variant> wanted = chosen_variants(options, options.cut.tile_given());
  const std::vector<std::shared_ptr<Backend>> more_engines = make_more_cuda_engines();
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  Progress progress("bench", static_cast<std::int64_t>(options.dtypes.size() * kv_heads.size() * workloads.size()));
  std::int64_t done = 0;
  for (const std::string& dtype : options.dtypes) {
    for (const int heads : kv_heads) {
      cuda_bench::CudaBenchConfig config;
      config.shape = options.shape.shape;
      config.shape.num_kv_heads = heads;
      config.shape.validate();
      config.dtype = parse_dtype(dtype);
      config.page_size = options.shape.page_size;
      if (options.rounds > 0) config.rounds = options.rounds;
      config.backend = {-1, options.max_ctas, options.max_warps, options.max_shared_kib << 10};
      config.more_backends = more_engines;
      cuda_bench::CudaBench bench(config, lengths);
      const std::vector<cuda_bench::Variant> variants = served(wanted, bench);
      for (const Workload& workload : workloads) {
        progress.update(++done);
        if (!bench.fits(workload.lengths)) continue;
        const cuda_bench::WorkloadTime time = bench.run(workload.lengths, variants);
        for (std::size_t i = 0; i < variants.size(); ++i) {
          const cuda_bench::VariantTime& v = time.variants[i];
          rows.push_back({{"workload", workload.name},
                          {"route", to_string(variants[i].route)},
                          {"pdl", variants[i].pdl},
                          {"num_q_heads", config.shape.num_q_heads},
                          {"num_kv_heads", heads},
                          {"head_dim", config.shape.head_dim},
                          {"dtype", dtype},
                          {"page_size", config.page_size},
                          {"batch", workload.lengths.size()},
                          {"kv_bytes", time.kv_bytes},
                          {"page_bytes", time.page_bytes},
                          {"time_us", v.graph_us},
                          {"time_min_us", v.graph_min_us},
                          {"time_max_us", v.graph_max_us},
                          {"plan_us", v.plan_us},
                          {"limit_us", time.limit_us()},
                          {"reader_pages_us", time.pages_reader_us},
                          {"reader_vectors_us", time.vectors_reader_us},
                          {"reader_rings_us", time.rings_reader_us},
                          {"eager_us", v.eager_us},
                          {"host_launch_us", v.launch_us},
                          {"relative_error", v.relative_error},
                          {"steps_in_rotation", time.num_steps}});
        }
      }
    }
  }
  return rows;
}

std::string table_of(const nlohmann::ordered_json& rows) {
  report::Table table({"workload", "Hkv", "dtype", "route", "chained", "KV", "limit", "time", "worst", "time /",
                       "over limit", "eager", "plan", "launch", "error"},
                      {"", "", "", "", "", "MiB", "us", "us", "us", "limit", "us", "us", "us", "us", "rel. L2"});
  for (const auto& row : rows) {
    const double limit = row["limit_us"], time = row["time_us"];
    table.add({row["workload"], fmt::to_string(row["num_kv_heads"].get<int>()), row["dtype"], row["route"],
               row["pdl"].get<bool>() ? "yes" : "no", fmt::format("{:.0f}", row["kv_bytes"].get<double>() / (1 << 20)),
               fmt::format("{:.1f}", limit), fmt::format("{:.1f}", time),
               fmt::format("{:.1f}", row.value("time_worst_us", time)), fmt::format("{:.3f}", time / limit),
               fmt::format("{:.1f}", time - limit), fmt::format("{:.1f}", row["eager_us"].get<double>()),
               fmt::format("{:.1f}", row["plan_us"].get<double>()),
               fmt::format("{:.1f}", row["host_launch_us"].get<double>()),
               fmt::format("{:.1e}", row["relative_error"].get<double>())});
  }
  return table.text();
}

/// A line for each route that has no rows for some number of KV heads: where nobody runs it for that shape.
std::string left_out(const BenchOptions& options, const nlohmann::ordered_json& rows) {
  std::string text;
  for (const std::string& route : options.routes) {
    for (const int heads : kv_heads_of(options)) {
      const bool there = std::any_of(rows.begin(), rows.end(), [&](const auto& row) {
        return row["route"] == route && row["num_kv_heads"] == heads;
      });
      if (!there)
        text += fmt::format("{} is left out for {} KV heads: nobody here runs it for that shape\n", route, heads);
    }
  }
  return text;
}

/// Outputs of the timed graphs, by their L2 distance from one pass in FP32: rounding the output alone gives a tenth of
/// it.
void require_accurate(const nlohmann::ordered_json& rows) {
  for (const auto& row : rows) {
    const double bound = row["dtype"] == "bf16" ? 8e-3 : 1e-3;
    if (!(row["relative_error"].get<double>() <= bound)) {
      throw CheckFailed(fmt::format("{} by {}: relative error is {}, must be at most {}",
                                    row["workload"].get<std::string>(), row["route"].get<std::string>(),
                                    row["relative_error"].get<double>(), bound));
    }
  }
}

}  // namespace

void bench_cuda(const BenchOptions& options) {
  if (options.processes < 1 || options.processes > 99)
    throw InvalidArgument(fmt::format("processes is {}, must be in [1, 99]", options.processes));
  require_cuda_device();
  nlohmann::ordered_json results = report::make_results("bench");
  results["method"] = fmt::format(
      "CUDA graph replay, median of {} replays, pages rotate over at least 600 MB; time_us: median over {} process(es)",
      options.rounds > 0 ? options.rounds : 7, options.processes);
  results["rows"] = options.processes == 1 ? measure(options) : measure_in_processes(options.processes);
  fmt::print("{} query heads, head_dim {}, page {}; {}\n\n{}{}", options.shape.shape.num_q_heads,
             options.shape.shape.head_dim, options.shape.page_size, results["method"].get<std::string>(),
             table_of(results["rows"]), left_out(options, results["rows"]));
  if (!options.json.empty()) report::write_json_file(options.json, results);
  require_accurate(results["rows"]);
}

}  // namespace pkv::cli
