#include "replay/replay.hpp"
#include "commands.hpp"
#include "options.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/policy/profile_io.hpp"
#include "persistentkv/trace/readers.hpp"
#include "progress.hpp"
#include "replay_output.hpp"
#include "replay_platform.hpp"
#include "report/json_file.hpp"
#include "serving.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace pkv::cli {

namespace {

constexpr const char* kDescription =
    "Replays a workload, step by step, under several routes side by side: plans each step, decodes it over a paged\n"
    "KV cache, checks results against an FP64 oracle, and prints a table. With no option, the paper's bimodal trace.\n"
    "With --serve, each route serves the requests by itself, and what requests see of it is told.";

constexpr const char* kExamples = R"(Examples:
  pkv replay                                             the paper's bimodal B8 trace under every schedule
  pkv replay --family bucketed --routes sequence-split,workqueue,stream
  pkv replay --trace azure.csv --max-active 16 --steps 200 --json out.json
  pkv replay --backend cuda --family zipf                on the GPU, times by its own clock
  pkv replay --trace mooncake.jsonl --share-prefixes --clock profile --layers 32
  pkv replay --serve --backend cuda --trace azure.csv --speed 8 --seconds 60 --routes stream,workqueue
  pkv replay --backend model --profile rtx3060-paper --trace azure.csv --seconds 60     no GPU: a profile's times
Trace files: plain CSV or JSON, Azure 2023 and 2024, BurstGPT, Mooncake; the format is told from the content.)";

struct ReplayCommand {
  ShapeOptions shape;
  FamilyChoice family;
  CutOptions cut;
  ServingOptionsOfUser serving;
  std::vector<std::string> traces;
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
  CLI::Option* profile_option = nullptr;
  int layers = 0;
  int num_sms = 0;
  CLI::Option* num_sms_option = nullptr;
  std::string json;

  void add_to(CLI::App& command);
  void run() const;

 private:
  void run_side_by_side() const;
  void run_serving() const;
  [[nodiscard]] BatchingOptions batching() const;
  [[nodiscard]] std::optional<TraceFamily> trace_family() const;
  [[nodiscard]] replay::ReplayRoute route(Route route) const;
  [[nodiscard]] std::vector<replay::ReplayRoute> parsed_routes() const;
  [[nodiscard]] std::unique_ptr<replay::Workload> workload() const;
  [[nodiscard]] std::int64_t max_steps() const;
};

void ReplayCommand::add_to(CLI::App& command) {
  command.add_option("--trace", traces, "Trace file to replay instead of a family; with --serve also several")
      ->delimiter(',');
  family.add_to(command);
  command.add_option("--steps", steps,
                     "Decode steps to run (default: the paper's for a family, 48 for a trace file; with --serve all)");
  command
      .add_option("--routes", routes,
                  "Routes to compare: all, or a list such as workqueue,stream; with --serve also policy")
      ->delimiter(',');
  command
      .add_option("--backend", backend,
                  "Who runs them: cpu or cuda; or model: nobody, a profile says how long each step takes")
      ->capture_default_str();
  command.add_option("--threads", threads, "Threads of the CPU backend (default: all)");
  shape.add_to(command);
  cut.add_to(command);
  command.add_option("--pages", pages, "Pages of a family: fixed (the paper's) or allocator (continuous batching)")
      ->capture_default_str();
  command.add_option("--hole-fraction", hole_fraction, "Share of physical pages that nobody owns, with fixed pages")
      ->capture_default_str();
  command.add_option("--kv-budget-gib", kv_budget_gib, "Size of the KV cache with the allocator, of one layer")
      ->capture_default_str();
  command.add_flag("--share-prefixes", share_prefixes, "Requests share the pages of equal prefix blocks (Mooncake)");
  command
      .add_option("--clock", clock,
                  "A step lasts what the first route took (measured) or what a profile says (profile)")
      ->capture_default_str();
  profile_option =
      command
          .add_option("--profile", profile,
                      "Profile, a name or a file: for --clock profile, --backend model and the policy of --serve")
          ->capture_default_str();
  command.add_option("--layers", layers, "Layers that a step lasts on the clock (default: 1, with --serve 32)");
  command.add_option("--check", checks, "Steps to check against FP64, spread over the run; 0 for none")
      ->capture_default_str();
  num_sms_option = command.add_option("--num-sms", num_sms,
                                      "SMs to divide CTAs by (default: the GPU's; with cpu 28, the paper's GPU's)");
  command.add_option("--json", json, "Also write results to this file");
  serving.add_to(command);
}

std::optional<TraceFamily> ReplayCommand::trace_family() const {
  if (!traces.empty()) return std::nullopt;
  return parse_trace_family(family.family);
}

replay::ReplayRoute ReplayCommand::route(Route route) const {
  replay::ReplayRoute result{route, {}};
  if (const auto schedule = schedule_of(route)) result.options = cut.resolve(*schedule, trace_family());
  if (backend == "cuda" && route == Route::kStream && !cut.tile_given())
    result.options.tile_tokens = kCudaStreamTileTokens;
  return result;
}

std::vector<replay::ReplayRoute> ReplayCommand::parsed_routes() const {
  std::vector<replay::ReplayRoute> parsed;
  for (const std::string& name : routes) {
    if (name == "all") {
      for (const Schedule schedule : kAllSchedules) parsed.push_back(route(route_of(schedule)));
    } else {
      parsed.push_back(route(parse_route(name)));
      if (parsed.back().route == Route::kPolicy)
        throw InvalidArgument("routes has policy, must be routes that run a step");
    }
  }
  return parsed;
}

std::int64_t ReplayCommand::max_steps() const {
  if (steps < 0) throw InvalidArgument(fmt::format("steps is {}, must be >= 1", steps));
  if (steps > 0) return steps;
  return traces.empty() ? family.paper_steps() : 48;
}

std::unique_ptr<replay::Workload> ReplayCommand::workload() const {
  if (pages != "fixed" && pages != "allocator")
    throw InvalidArgument(fmt::format("pages is '{}', must be fixed or allocator", pages));
  if (traces.empty() && pages == "fixed") {
    return replay::make_family_workload(
        family.resolve(), {.page_size = shape.page_size, .hole_fraction = hole_fraction, .seed = family.seed});
  }
  BatchingOptions options = batching();
  if (traces.empty()) {
    const FamilyOptions generated = family.resolve();
    options.max_active = generated.max_active;
    return replay::make_batched_workload(make_family_source(generated), options);
  }
  if (family.max_active != 0) options.max_active = family.max_active;
  return replay::make_batched_workload(open_trace(traces.front()), options);
}

BatchingOptions ReplayCommand::batching() const {
  const std::int64_t page_bytes =
      KvCacheView::num_elements(shape.shape, shape.page_size, 1) * size_bytes(shape.parsed_dtype());
  if (!(kv_budget_gib > 0.0 && kv_budget_gib < 1e6))
    throw InvalidArgument(fmt::format("kv-budget-gib is {}, must be in (0, 1e6)", kv_budget_gib));
  BatchingOptions options;
  options.num_pages = static_cast<std::int64_t>(kv_budget_gib * (1 << 30) / static_cast<double>(page_bytes));
  options.page_size = shape.page_size;
  options.share_prefixes = share_prefixes;
  options.shuffle_seed = family.seed;
  return options;
}

void ReplayCommand::run() const {
  if (layers < 0) throw InvalidArgument(fmt::format("layers is {}, must be >= 1", layers));
  if (serving.serve || backend == "model") return run_serving();
  serving.refuse_without_serve();
  if (traces.size() > 1)
    throw InvalidArgument(fmt::format("trace names {} files, must name one, or --serve be given", traces.size()));
  run_side_by_side();
}

void ReplayCommand::run_serving() const {
  if (checks < 0) throw InvalidArgument(fmt::format("check is {}, must be >= 0", checks));
  ServingRequest request;
  request.serving = serving;
  request.shape = shape;
  request.family = family;
  request.cut = cut;
  request.traces = traces;
  request.backend = backend;
  request.routes = routes;
  if (profile_option->count() > 0) request.profile = profile;
  request.steps = steps;
  request.layers = layers;
  request.checks = checks;
  request.threads = threads;
  request.batching = batching();
  request.batching.max_active = traces.empty() ? family.resolve().max_active : family.max_active;
  request.json = json;
  run_serving_command(request);
}

void ReplayCommand::run_side_by_side() const {
  if (backend != "cpu" && backend != "cuda")
    throw InvalidArgument(fmt::format("backend is '{}', must be cpu or cuda", backend));
  if (clock != "measured" && clock != "profile")
    throw InvalidArgument(fmt::format("clock is '{}', must be measured or profile", clock));
  if (checks < 0) throw InvalidArgument(fmt::format("check is {}, must be >= 0", checks));
  const bool sms_given = num_sms_option->count() > 0;
  if (sms_given && num_sms < 1) throw InvalidArgument(fmt::format("num-sms is {}, must be >= 1", num_sms));

  replay::ReplayOptions options;
  options.shape = shape.shape;
  options.dtype = shape.parsed_dtype();
  options.routes = parsed_routes();
  options.max_steps = max_steps();
  options.check_every = checks > 0 ? (options.max_steps + checks - 1) / checks : 0;
  options.layers = layers > 0 ? layers : 1;
  options.seed = family.seed;
  std::optional<Router> router;
  if (clock == "profile") {
    router.emplace(find_profile(profile));
    options.clock = replay::Clock::kProfile;
    options.router = &*router;
  }

  if (backend == "cuda") require_cuda_device();
  const std::unique_ptr<replay::Workload> load = workload();
  const PlatformOptions wanted{.shape = options.shape,
                               .dtype = options.dtype,
                               .page_size = shape.page_size,
                               .num_pages = load->num_pages(),
                               .seed = family.seed,
                               .num_threads = threads};
  const ReplayPlatform platform = backend == "cuda" ? make_cuda_platform(wanted) : make_cpu_platform(wanted);
  Progress progress("replay", options.max_steps);
  options.progress = [&](std::int64_t done) { progress.update(done); };
  const replay::ReplayResult result = replay::run_replay(*load, *platform.device, options);

  const ReplayContext context{.shape = options.shape,
                              .dtype = options.dtype,
                              .backend = platform.name,
                              .cache_state = platform.device->cache_state(),
                              .num_sms = sms_given ? num_sms : platform.num_sms,
                              .on_gpu = backend == "cuda"};
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
