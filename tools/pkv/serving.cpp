#include "serving.hpp"

#include "commands.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/policy/profile_io.hpp"
#include "persistentkv/trace/readers.hpp"
#include "progress.hpp"
#include "replay/accuracy.hpp"
#include "report/json_file.hpp"
#include "serving/model_platform.hpp"
#include "serving/sampled_executor.hpp"
#include "serving/serve.hpp"
#include "serving_output.hpp"
#include "serving_platform.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

namespace pkv::cli {

namespace {

using serving::ServingResult;

constexpr int kLayers = 32;  // of Llama-3.1-8B
constexpr std::int64_t kMaxActive = 64;

std::string without_folder(const std::string& name) { return name.substr(name.find_last_of('/') + 1); }

/// One workload of the command line.
struct Load {
  std::string trace;  // empty: the family
  double speed = 1.0;
};

class ServingCommand {
 public:
  explicit ServingCommand(const ServingRequest& request) : request_(request) { resolve(); }

  void run() {
    const std::unique_ptr<serving::ServingPlatform> platform = make_platform();
    options_.mlp = mlp_times();
    const std::vector<Route> routes = routes_of(*platform);
    const std::vector<Load> loads = loads_of();
    ServingContext context{options_, platform->name(), {}, {}, {}};
    std::vector<ServingResult> results;
    Progress progress("serving", static_cast<std::int64_t>(loads.size() * routes.size()));
    for (const Load& load : loads) {
      options_.traffic.speed = load.speed;
      for (const Route route : routes) {
        const std::unique_ptr<RequestSource> source = open(load);
        results.push_back(serving::run_serving(*source, *executor(*platform, route), route, options_));
        results.back().workload = without_folder(results.back().workload);
        require_steps(results.back());
        context.clocks.push_back(serving::describe_clock(options_, source->arrival_unit()));
        progress.update(static_cast<std::int64_t>(results.size()));
      }
    }
    context.cache_state = platform->cache_state();
    if (request_.serving.run_every > 1)
      context.sampling = fmt::format("every {}. step is run, the others are scaled from it by {}",
                                     request_.serving.run_every, model_ ? "the profile" : "their tokens");
    fmt::print("{}", serving_text(results, context));
    if (!request_.json.empty()) report::write_json_file(request_.json, serving_json(results, context));
    for (const ServingResult& result : results) require_accurate(result);
  }

 private:
  void resolve();

  [[nodiscard]] std::unique_ptr<serving::ServingPlatform> make_platform() const {
    if (request_.backend == "model")
      return std::make_unique<serving::ModelPlatform>(*profile_, options_.shape, options_.dtype, options_.layers,
                                                      plan_of());
    const ServingPlatformOptions wanted{.routed = {.shape = options_.shape,
                                                   .dtype = options_.dtype,
                                                   .page_size = options_.batching.page_size,
                                                   .num_pages = options_.batching.num_pages,
                                                   .layers = options_.layers,
                                                   .seed = request_.family.seed,
                                                   .profile = profile_,
                                                   .plan = plan_of()},
                                        .max_active = options_.batching.max_active,
                                        .num_threads = request_.threads,
                                        .run_layers = request_.serving.run_layers};
    return request_.backend == "cuda" ? make_cuda_serving(wanted) : make_cpu_serving(wanted);
  }

  /// --splits N counts for the policy too, --splits SCHEDULE=N for that schedule's own run.
  [[nodiscard]] serving::PlanOptionsOf plan_of() const {
    return [cut = request_.cut](Route route) {
      return cut.resolve(schedule_of(route).value_or(Schedule::kStream), std::nullopt);
    };
  }

  [[nodiscard]] serving::MlpTimes mlp_times() const {
    const double us = request_.serving.mlp_us;
    if (us >= 0.0 || std::isnan(us)) return {{{1, us}}, fmt::format("takes {:g} us a layer, as given", us)};
    if (request_.backend == "cuda") return measure_cuda_mlp(options_.batching.max_active);
    if (profile_ && !profile_->mlp.empty()) {
      std::vector<serving::MlpPoint> points;
      points.reserve(profile_->mlp.size());
      for (const MlpTime& time : profile_->mlp) points.push_back({time.batch, time.us});
      return {std::move(points), fmt::format("as measured for profile {}", profile_->name)};
    }
    return {};
  }

  [[nodiscard]] std::vector<Route> routes_of(serving::ServingPlatform& platform) const;
  [[nodiscard]] std::vector<Load> loads_of() const;

  [[nodiscard]] std::unique_ptr<RequestSource> open(const Load& load) const {
    if (load.trace.empty()) return make_family_source(request_.family.resolve());
    return open_trace(load.trace);
  }

  [[nodiscard]] std::unique_ptr<serving::StepExecutor> executor(serving::ServingPlatform& platform, Route route) const {
    std::unique_ptr<serving::StepExecutor> executor = platform.executor(route);
    if (request_.serving.run_every == 1) return executor;
    return std::make_unique<serving::SampledExecutor>(std::move(executor), request_.serving.run_every,
                                                      model_ ? &*model_ : nullptr, route);
  }

  static void require_steps(const ServingResult& result) {
    if (result.counts.steps > 0) return;
    const std::string why = result.first_rejection.empty() ? "it has no request" : result.first_rejection;
    throw InvalidArgument(fmt::format("{}: nothing could be decoded: {}", result.workload, why));
  }

  void require_accurate(const ServingResult& result) const {
    const double bound = replay::accuracy_bounds(options_.dtype).relative_l2;
    if (result.checked_steps == 0 || result.relative_error <= bound) return;
    throw CheckFailed(fmt::format("{}: relative error of a row and head is {:.3g}, must be at most {:.3g}",
                                  to_string(result.route), result.relative_error, bound));
  }

  const ServingRequest& request_;
  serving::ServingOptions options_;
  std::optional<DeviceProfile> profile_;
  std::optional<serving::StepModel> model_;
};

void ServingCommand::resolve() {
  const ServingOptionsOfUser& user = request_.serving;
  if (request_.backend != "cpu" && request_.backend != "cuda" && request_.backend != "model")
    throw InvalidArgument(fmt::format("backend is '{}', must be cpu, cuda or model", request_.backend));
  if (request_.backend == "model" && request_.profile.empty())
    throw InvalidArgument("profile is empty, must name one: --backend model takes step times from nothing else");
  if (user.run_every < 1) throw InvalidArgument(fmt::format("run-every is {}, must be >= 1", user.run_every));
  if (request_.steps < 0) throw InvalidArgument(fmt::format("steps is {}, must be >= 1", request_.steps));
  options_.shape = request_.shape.shape;
  options_.shape.validate();
  options_.dtype = request_.shape.parsed_dtype();
  options_.batching = request_.batching;
  if (options_.batching.max_active == 0) options_.batching.max_active = kMaxActive;
  options_.layers = request_.layers > 0 ? request_.layers : kLayers;
  if (request_.steps > 0) options_.max_steps = request_.steps;
  options_.limit_every = user.limit_every;
  options_.checks = request_.checks;
  options_.traffic.prefill = {serving::parse_prefill_rule(user.prefill), user.prefill_tokens_per_s};
  if (user.seconds != 0.0) options_.traffic.seconds = user.seconds;
  if (request_.family.num_requests != 0 && !request_.traces.empty())
    options_.traffic.requests = request_.family.num_requests;
  if (request_.profile.empty()) return;
  profile_ = find_profile(request_.profile);
  model_.emplace(*profile_, options_.shape, options_.dtype, options_.layers);
}

std::vector<Route> ServingCommand::routes_of(serving::ServingPlatform& platform) const {
  std::vector<Route> routes;
  for (const std::string& name : request_.routes) {
    if (name != "all") {
      routes.push_back(parse_route(name));
      if (const std::string why = platform.why_not(routes.back()); !why.empty())
        throw Unsupported(fmt::format("route is {}: {}", name, why));
      continue;
    }
    if (profile_) routes.push_back(Route::kPolicy);
    for (const Route route : kRunnableRoutes)
      if (platform.why_not(route).empty()) routes.push_back(route);
  }
  return routes;
}

std::vector<Load> ServingCommand::loads_of() const {
  const std::vector<double>& speeds = request_.serving.speeds;
  const std::size_t count = request_.traces.empty() ? 1 : request_.traces.size();
  if (speeds.size() != 1 && speeds.size() != count)
    throw InvalidArgument(fmt::format("speed has {} values, must have one, or {}: one a trace", speeds.size(), count));
  std::vector<Load> loads(count);
  for (std::size_t i = 0; i < count; ++i) {
    if (!request_.traces.empty()) loads[i].trace = request_.traces[i];
    loads[i].speed = speeds[speeds.size() == 1 ? 0 : i];
  }
  return loads;
}

}  // namespace

void ServingOptionsOfUser::add_to(CLI::App& command) {
  const char* const group = "Serving";
  command
      .add_flag("--serve", serve,
                "Each route serves the requests in a run of its own, on a virtual clock that its own steps set:\n"
                "tokens/s, time to first token and per output token, use of the KV cache. Also with --backend model")
      ->group(group);
  options = {
      command.add_option("--speed", speeds, "Arrivals come so many times as fast as recorded; one, or one a trace")
          ->delimiter(',')
          ->capture_default_str(),
      command.add_option("--seconds", seconds, "Only requests that arrive within these, after --speed (default: all)"),
      command
          .add_option("--prefill", prefill,
                      "Who processes prompts: separate (other GPUs: a request comes later, nobody else waits), inline\n"
                      "(this one, before the step that a request joins: all wait) or none (no time)")
          ->capture_default_str(),
      command.add_option("--prefill-tokens-per-s", prefill_tokens_per_s, "Prompt tokens processed a second")
          ->capture_default_str(),
      command.add_option("--mlp-us", mlp_us,
                         "Microseconds of a layer's MLP, whatever the batch (default: the profile's or, on a GPU,\n"
                         "measured; else none)"),
      command
          .add_option("--run-every", run_every,
                      "Run every so manieth step; the others' times are scaled by the profile, or their tokens")
          ->capture_default_str(),
      command
          .add_option("--run-layers", run_layers,
                      "CUDA: layers run each step, each over pages of its own; a layer's time is their mean")
          ->capture_default_str(),
      command.add_option("--limit-every", limit_every, "Time the fastest reader at every so manieth step; 0: never")
          ->capture_default_str(),
  };
  for (CLI::Option* option : options) option->group(group);
}

void ServingOptionsOfUser::refuse_without_serve() const {
  for (const CLI::Option* option : options)
    if (option->count() > 0) throw InvalidArgument(fmt::format("{} is given, needs --serve", option->get_name()));
}

void run_serving_command(const ServingRequest& request) { ServingCommand(request).run(); }

}  // namespace pkv::cli
