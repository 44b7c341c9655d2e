#include "replay/replay.hpp"
#include "commands.hpp"
#include "options.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/cpu/cpu_backend.hpp"
#include "persistentkv/policy/profile_io.hpp"
#include "persistentkv/trace/readers.hpp"
#include "progress.hpp"
#include "replay/kv_pool.hpp"
#include "replay_output.hpp"
#include "report/json_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>

namespace pkv::cli {

namespace {

constexpr const char* kDescription =
    "Replays a workload, step by step, under several schedules side by side: plans each step, decodes it over a paged\n"
    "KV cache, checks results against an FP64 oracle, and prints a table. With no option, the paper's bimodal trace.";

constexpr const char* kExamples = R"(Examples:
  pkv replay                                             the paper's bimodal B8 trace under every schedule
  pkv replay --family bucketed --routes sequence-split,workqueue,stream
  pkv replay --trace azure.csv --max-active 16 --steps 200 --json out.json
  pkv replay --trace mooncake.jsonl --share-prefixes --clock profile --layers 32
Trace files: plain CSV or JSON, Azure 2023 and 2024, BurstGPT, Mooncake; the format is told from the content.)";

struct ReplayCommand {
  ShapeOptions shape;
  FamilyChoice family;
  CutOptions cut;
  std::string trace;
  std::string backend = "cpu";
  std::vector<std::string> routes{"all"};
  std::int64_t steps = 0;
  int checks = 3;
  int threads = 0;
  std::string pages = "fixed";
  double hole_fraction = 0.0;
  double kv_budget_gib = 1.0;
  bool share_prefixes = false;
  std::string clock = "measured";
  std::string profile = "rtx3060-paper";
  int layers = 1;
  int num_sms = 28;
  std::string json;

  void add_to(CLI::App& command);
  void run() const;

 private:
  [[nodiscard]] std::optional<TraceFamily> trace_family() const;
  [[nodiscard]] std::vector<replay::ReplayRoute> parsed_routes() const;
  [[nodiscard]] std::unique_ptr<replay::Workload> workload() const;
  [[nodiscard]] std::int64_t max_steps() const;
};

void ReplayCommand::add_to(CLI::App& command) {
  command.add_option("--trace", trace, "Trace file to replay instead of a family");
  family.add_to(command);
  command.add_option("--steps", steps, "Decode steps to run (default: the paper's for a family, 48 for a trace file)");
  command.add_option("--routes", routes, "Schedules to compare: all, or a list such as workqueue,stream")
      ->delimiter(',');
  command.add_option("--backend", backend, "Who runs them: cpu")->capture_default_str();
  command.add_option("--threads", threads, "Threads of the CPU backend (default: all)");
  shape.add_to(command);
  cut.add_to(command);
  command.add_option("--pages", pages, "Pages of a family: fixed (the paper's) or allocator (continuous batching)")
      ->capture_default_str();
  command.add_option("--hole-fraction", hole_fraction, "Share of physical pages that nobody owns, with fixed pages")
      ->capture_default_str();
  command.add_option("--kv-budget-gib", kv_budget_gib, "Size of the KV cache with the allocator")
      ->capture_default_str();
  command.add_flag("--share-prefixes", share_prefixes, "Requests share the pages of equal prefix blocks (Mooncake)");
  command
      .add_option("--clock", clock,
                  "A step lasts what the first route took (measured) or what a profile says (profile)")
      ->capture_default_str();
  command.add_option("--profile", profile, "Profile for --clock profile: a name or a file")->capture_default_str();
  command.add_option("--layers", layers, "Layers that a step lasts on the clock")->capture_default_str();
  command.add_option("--check", checks, "Steps to check against FP64, spread over the run; 0 for none")
      ->capture_default_str();
  command.add_option("--num-sms", num_sms, "SMs to divide CTAs by; 28 is the paper's GPU")->capture_default_str();
  command.add_option("--json", json, "Also write results to this file");
}

std::optional<TraceFamily> ReplayCommand::trace_family() const {
  if (!trace.empty()) return std::nullopt;
  return parse_trace_family(family.family);
}

std::vector<replay::ReplayRoute> ReplayCommand::parsed_routes() const {
  std::vector<replay::ReplayRoute> parsed;
  for (const std::string& route : routes) {
    if (route == "all") {
      for (const Schedule schedule : kAllSchedules) parsed.push_back({schedule, cut.resolve(schedule, trace_family())});
    } else {
      const Schedule schedule = parse_schedule(route);
      parsed.push_back({schedule, cut.resolve(schedule, trace_family())});
    }
  }
  return parsed;
}

std::int64_t ReplayCommand::max_steps() const {
  if (steps < 0) throw InvalidArgument(fmt::format("steps is {}, must be >= 1", steps));
  if (steps > 0) return steps;
  return trace.empty() ? family.paper_steps() : 48;
}

std::unique_ptr<replay::Workload> ReplayCommand::workload() const {
  if (pages != "fixed" && pages != "allocator")
    throw InvalidArgument(fmt::format("pages is '{}', must be fixed or allocator", pages));
  if (trace.empty() && pages == "fixed") {
    return replay::make_family_workload(
        family.resolve(), {.page_size = shape.page_size, .hole_fraction = hole_fraction, .seed = family.seed});
  }
  const std::int64_t page_bytes =
      KvCacheView::num_elements(shape.shape, shape.page_size, 1) * size_bytes(shape.parsed_dtype());
  if (!(kv_budget_gib > 0.0 && kv_budget_gib < 1e6))
    throw InvalidArgument(fmt::format("kv-budget-gib is {}, must be in (0, 1e6)", kv_budget_gib));
  BatchingOptions batching;
  batching.num_pages = static_cast<std::int64_t>(kv_budget_gib * (1 << 30) / static_cast<double>(page_bytes));
  batching.page_size = shape.page_size;
  batching.share_prefixes = share_prefixes;
  batching.shuffle_seed = family.seed;
  if (trace.empty()) {
    const FamilyOptions options = family.resolve();
    batching.max_active = options.max_active;
    return replay::make_batched_workload(make_family_source(options), batching);
  }
  if (family.max_active != 0) batching.max_active = family.max_active;
  return replay::make_batched_workload(open_trace(trace), batching);
}

void ReplayCommand::run() const {
  if (backend != "cpu") throw InvalidArgument(fmt::format("backend is '{}', must be cpu", backend));
  if (clock != "measured" && clock != "profile")
    throw InvalidArgument(fmt::format("clock is '{}', must be measured or profile", clock));
  if (checks < 0) throw InvalidArgument(fmt::format("check is {}, must be >= 0", checks));
  if (num_sms < 1) throw InvalidArgument(fmt::format("num-sms is {}, must be >= 1", num_sms));

  replay::ReplayOptions options;
  options.shape = shape.shape;
  options.dtype = shape.parsed_dtype();
  options.routes = parsed_routes();
  options.max_steps = max_steps();
  options.check_every = checks > 0 ? (options.max_steps + checks - 1) / checks : 0;
  options.layers = layers;
  options.seed = family.seed;
  std::optional<Router> router;
  if (clock == "profile") {
    router.emplace(find_profile(profile));
    options.clock = replay::Clock::kProfile;
    options.router = &*router;
  }

  const std::unique_ptr<Backend> engine = make_cpu_backend({.num_threads = threads, .simd_target = {}});
  const std::unique_ptr<replay::Workload> load = workload();
  if (const std::string why = engine->capabilities().why_not(options.shape, options.dtype, shape.page_size);
      !why.empty())
    throw Unsupported(why);
  const replay::KvPool pool(options.shape, options.dtype, shape.page_size, load->num_pages(), family.seed);
  KvReaders readers(threads);
  replay::CacheEvictor evictor(readers, pool, options.shape);
  Progress progress("replay", options.max_steps);
  const replay::ReplayHooks hooks{
      .evict = [&](const Step& step) { evictor.evict(step); },
      .read_limit_us =
          [&](const Step& step) {
            const auto begin = std::chrono::steady_clock::now();
            (void)readers.read_pages(step, pool.view());
            return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count();
          },
      .progress = [&](std::int64_t done) { progress.update(done); }};
  const replay::ReplayResult result = replay::run_replay(*load, *engine, pool.view(), options, hooks);

  const ReplayContext context{
      .shape = options.shape,
      .dtype = options.dtype,
      .backend = fmt::format("cpu, {} threads, {}", readers.num_threads(), cpu_simd_target()),
      .cache_state =
          evictor.always_cold()
              ? fmt::format("cold cache: {} MiB of other pages are read before each run", evictor.cache_bytes() >> 20)
              : std::string("CACHE WARM at times: the pool is too small to evict a step's pages by"),
      .num_sms = num_sms};
  if (result.steps == 0) throw InvalidArgument("the workload has no step to replay");
  fmt::print("{}", replay_text(result, context));
  if (!json.empty()) report::write_json_file(json, replay_json(result, context));

  for (const replay::RouteResult& route : result.routes) {
    if (result.checked_steps.empty()) break;
    const std::string why = replay::why_inaccurate(route.accuracy, replay::accuracy_bounds(options.dtype));
    if (!why.empty()) throw CheckFailed(fmt::format("{}: {}", route.name, why));
  }
}

}  // namespace

void add_replay(CLI::App& app) {
  CLI::App* command = app.add_subcommand("replay", kDescription);
  command->footer(kExamples);
  auto options = std::make_shared<ReplayCommand>();
  options->add_to(*command);
  command->callback([options] { options->run(); });
}

}  // namespace pkv::cli
