#include "commands.hpp"
#include "options.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/measure/cpu_bench.hpp"
#include "report/json_file.hpp"
#include "report/table.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>

namespace pkv::cli {

namespace {

constexpr const char* kDescription =
    "Times decode against the fastest readers of the same memory, in one run: page by page through the block table,\n"
    "contiguous, and non-temporal, with the same threads. Buffers rotate over at least --pool-gib, so no cache helps.";

constexpr const char* kExamples = R"(Examples:
  pkv bench --backend cpu
  pkv bench --backend cpu --dtypes fp16,bf16 --simd best,AVX2 --json docs/results/cpu-bench.json)";

struct BenchCommand {
  ShapeOptions shape;
  CutOptions cut;
  std::string backend = "cpu";
  std::vector<std::string> dtypes{"fp16", "bf16"};
  std::vector<std::string> simd{"best"};
  std::vector<std::int32_t> lengths;
  std::string route = "stream";
  int threads = 0;
  int rounds = 21;
  double pool_gib = 2.0;
  std::string json;

  void run() const;
};

void BenchCommand::run() const {
  if (backend != "cpu") throw InvalidArgument(fmt::format("backend is '{}', must be cpu", backend));
  if (!(pool_gib > 0.0 && pool_gib < 1e4))
    throw InvalidArgument(fmt::format("pool-gib is {}, must be in (0, 1e4)", pool_gib));
  nlohmann::ordered_json results = report::make_results("bench");
  report::Table table(
      {"dtype", "SIMD", "decode", "pages", "contiguous", "non-temp.", "decode /", "step", "limit", "plan"},
      {"", "", "GB/s", "GB/s", "GB/s", "GB/s", "best reader", "ms", "ms", "us"});
  CpuBenchConfig config;
  for (const std::string& dtype : dtypes) {
    for (const std::string& target : simd) {
      config.shape = shape.shape;
      config.dtype = parse_dtype(dtype);
      config.page_size = shape.page_size;
      if (!lengths.empty()) config.lengths = lengths;
      config.schedule = parse_schedule(route);
      config.plan_options = cut.resolve(config.schedule, std::nullopt);
      config.num_threads = threads;
      config.simd_target = target == "best" ? "" : target;
      config.rounds = rounds;
      config.min_pool_bytes = static_cast<std::int64_t>(pool_gib * (1 << 30));
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
                                 {"rounds", rounds},
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
             fmt::join(config.lengths, ", "), route, rounds, table.text());
  if (!json.empty()) report::write_json_file(json, results);
}

}  // namespace

void add_bench(CLI::App& app) {
  CLI::App* command = app.add_subcommand("bench", kDescription);
  command->footer(kExamples);
  auto options = std::make_shared<BenchCommand>();
  command->add_option("--backend", options->backend, "What to time: cpu")->capture_default_str();
  command->add_option("--dtypes", options->dtypes, "Dtypes, one after the other")->delimiter(',');
  command->add_option("--simd", options->simd, "Instruction sets: best, or names that pkv info lists")->delimiter(',');
  command->add_option("--lengths", options->lengths, "Tokens of each row")->delimiter(',');
  command->add_option("--route", options->route, "Schedule")->capture_default_str();
  command->add_option("--threads", options->threads, "Threads, of decode and readers alike (default: all)");
  command->add_option("--rounds", options->rounds, "Times that decode and every reader take their turn")
      ->capture_default_str();
  command->add_option("--pool-gib", options->pool_gib, "KV that the buffers rotate over")->capture_default_str();
  command->add_option("--json", options->json, "Also write results to this file");
  options->shape.add_to(*command);
  options->cut.add_to(*command);
  command->remove_option(command->get_option("--dtype"));
  command->callback([options] { options->run(); });
}

}  // namespace pkv::cli
