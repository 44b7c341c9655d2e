#include "bench.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/measure/cpu_bench.hpp"
#include "report/json_file.hpp"
#include "report/table.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace pkv::cli {

void bench_cpu(const BenchOptions& options) {
  if (!(options.pool_gib > 0.0 && options.pool_gib < 1e4))
    throw InvalidArgument(fmt::format("pool-gib is {}, must be in (0, 1e4)", options.pool_gib));
  nlohmann::ordered_json results = report::make_results("bench");
  report::Table table(
      {"dtype", "SIMD", "decode", "pages", "contiguous", "non-temp.", "decode /", "step", "limit", "plan"},
      {"", "", "GB/s", "GB/s", "GB/s", "GB/s", "best reader", "ms", "ms", "us"});
  CpuBenchConfig config;
  const std::string& route = options.routes.front();
  for (const std::string& dtype : options.dtypes) {
    for (const std::string& target : options.simd) {
      config.shape = options.shape.shape;
      config.dtype = parse_dtype(dtype);
      config.page_size = options.shape.page_size;
      if (!options.lengths.empty()) config.lengths = options.lengths;
      config.schedule = parse_schedule(route);
      config.plan_options = options.cut.resolve(config.schedule, std::nullopt);
      config.num_threads = options.threads;
      config.simd_target = target == "best" ? "" : target;
      if (options.rounds > 0) config.rounds = options.rounds;
      config.min_pool_bytes = static_cast<std::int64_t>(options.pool_gib * (1 << 30));
      const CpuBenchResult r = run_cpu_bench(config);
      table.add({dtype, r.simd_target, fmt::format("{:.2f}", r.decode_gbps), fmt::format("{:.2f}", r.pages_gbps),
                 fmt::format("{:.2f}", r.contiguous_gbps), fmt::format("{:.2f}", r.non_temporal_gbps),
                 fmt::format("{:.3f}", r.ratio()), fmt::format("{:.2f}", r.time_us / 1e3),
                 fmt::format("{:.2f}", r.limit_us() / 1e3), fmt::format("{:.1f}", r.plan_us)});
      results["rows"].push_back({{"workload", fmt::format("lengths {}", fmt::join(config.lengths, ","))},
                                 {"route", route},
                                 {"num_q_heads", config.shape.num_q_heads},
                                 {"num_kv_heads", config.shape.num_kv_heads},
                                 {"head_dim", config.shape.head_dim},
                                 {"dtype", dtype},
                                 {"page_size", config.page_size},
                                 {"kv_bytes", r.kv_bytes},
                                 {"time_us", r.time_us},
                                 {"plan_us", r.plan_us},
                                 {"limit_us", r.limit_us()},
                                 {"simd", r.simd_target},
                                 {"threads", r.num_threads},
                                 {"rounds", config.rounds},
                                 {"pool_bytes", r.pool_bytes},
                                 {"steps_in_rotation", r.num_steps},
                                 {"decode_gbps", r.decode_gbps},
                                 {"reader_pages_gbps", r.pages_gbps},
                                 {"reader_contiguous_gbps", r.contiguous_gbps},
                                 {"reader_non_temporal_gbps", r.non_temporal_gbps},
                                 {"non_temporal_method", r.non_temporal_method},
                                 {"ratio", r.ratio()}});
    }
  }
  fmt::print("{} query heads, {} KV heads, head_dim {}, page {}; rows of {} tokens; {}; medians of {} rounds\n\n{}",
             config.shape.num_q_heads, config.shape.num_kv_heads, config.shape.head_dim, config.page_size,
             fmt::join(config.lengths, ", "), route, config.rounds, table.text());
  if (!options.json.empty()) report::write_json_file(options.json, results);
}

}  // namespace pkv::cli
