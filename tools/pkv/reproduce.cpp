#include "reproduce/reproduce.hpp"
#include "calibrate/measure_regret.hpp"
#include "commands.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/policy/profile_io.hpp"
#include "regret_output.hpp"
#include "report/json_file.hpp"
#include "reproduce/published.hpp"
#include "reproduce_platform.hpp"
#include "step_timers.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace pkv::cli {

namespace {

constexpr const char* kDescription =
    "The study's tables anew, on this machine's GPU, beside what the paper published: main table, structural "
    "counters,\n"
    "split sensitivity, GQA sweep, isolated table, ablations, attention beside an MLP. Every route is timed in two "
    "windows:\n"
    "fair (everybody plans, uploads and runs inside) and as the paper timed. docs/reproduce.md has the method.";

constexpr const char* kExamples = R"(Examples:
  pkv reproduce --backend cuda --quick                           # half a minute: that it all works here
  pkv reproduce --backend cuda --json reproduce.json             # all of it
  pkv reproduce --backend cuda --profile mine.json --only main,gqa)";

struct Options {
  std::string backend = "cuda";
  std::string profile;
  std::string json;
  std::vector<std::string> traces;
  reproduce::ReproduceOptions sections;
};

/// The profile that was named, else one of those built in for this GPU; nothing where there is none. Of another GPU, it
/// is refused: the policy would take its safe route all along, and the tables would not say so where one looks.
std::optional<DeviceProfile> chosen_profile(const std::string& named, const std::string& device) {
  if (!named.empty()) {
    DeviceProfile profile = find_profile(named);
    profile.require_device(device);
    return profile;
  }
  for (const std::string_view name : built_in_profile_names())
    if (DeviceProfile profile = find_profile(name); profile.device_name == device) return profile;
  return std::nullopt;
}

std::string describe_routes(const reproduce::Bench& bench) {
  std::string text;
  for (const Route route : {Route::kFlashInferCudaCore, Route::kFlashInferTensorCore}) {
    const std::string why = bench.why_not(route, AttentionShape{}, 16);
    if (!why.empty()) text += fmt::format("{} is left out: {}\n", to_string(route), why);
  }
  return text;
}

/// Policy against the best route of each step, on steps that the profile was not fitted on.
void measure_regret(const Options& options, const std::optional<DeviceProfile>& profile, reproduce::Output& output) {
  if (!profile) throw Unsupported("there is no profile of this GPU: make one by pkv calibrate, name it by --profile");
  calibrate::RegretRunOptions how;
  how.traces = options.traces;
  if (options.sections.quick) {
    how.seeds = {how.seeds.front()};
    how.steps_per_trace = 2;
    how.seconds = 6;
  }
  const calibrate::RegretRun run = calibrate::measure_regret(*make_cuda_step_timer({}), *profile, how);
  const fit::Regret& policy = run.all.all.policy;
  output.results["regret_mean"] = policy.mean_ratio;
  output.results["regret_max"] = policy.max_ratio;
  output.results["regret_max_us"] = policy.max_us;
  output.results["regret"] = regret_json(run);
  output.print(
      fmt::format("Regret of profile {} on {} steps, a plan shared by {} layers; over: by more than 5 % and "
                  "0.5 us. The paper publishes none\n\n{}",
                  profile->name, run.all.steps, how.layers_per_plan, regret_tables(run)));
}

reproduce::ReproduceOptions with_regret(const Options& options, const std::optional<DeviceProfile>& profile) {
  reproduce::ReproduceOptions sections = options.sections;
  sections.more = {{"regret", [&](reproduce::Output& output) { measure_regret(options, profile, output); }}};
  return sections;
}

void run(const Options& options) {
  if (options.backend != "cuda")
    throw InvalidArgument(
        fmt::format("backend is '{}', must be cuda: the paper's tables are a GPU's", options.backend));
  std::optional<DeviceProfile> profile;
  const reproduce::ReproduceOptions sections = with_regret(options, profile);
  const std::int64_t kv_bytes = reproduce::kv_bytes_needed(sections);
  profile = chosen_profile(options.profile, reproduce_device_name());
  const ReproducePlatform platform = make_reproduce_platform(kv_bytes, profile);
  fmt::print("{}; policy: {}\n{}{}\n\n", platform.device,
             profile ? "profile " + profile->name : "no profile for this GPU, so always its safe route",
             describe_routes(*platform.bench), reproduce::kPublishedSetup);

  reproduce::Output output;
  output.results = report::make_results("reproduce");
  output.results["profile"] = profile ? nlohmann::ordered_json(profile->name) : nullptr;
  output.print = [](const std::string& text) {
    fmt::print("{}\n", text);
    (void)std::fflush(stdout);
  };
  reproduce::reproduce(sections, *platform.bench, output);
  output.results["problems"] = output.problems;
  if (!options.json.empty()) report::write_json_file(options.json, output.results);
  if (!output.problems.empty()) throw CheckFailed(fmt::format("{}", fmt::join(output.problems, "\npkv: ")));
}

}  // namespace

void add_reproduce(CLI::App& app) {
  CLI::App* command = app.add_subcommand("reproduce", kDescription);
  command->footer(kExamples);
  auto options = std::make_shared<Options>();
  command->add_option("--backend", options->backend, "Where: cuda")->capture_default_str();
  command->add_option("--profile", options->profile,
                      "The policy's: a built-in name or a JSON file (default: one built in for this GPU)");
  command
      ->add_option("--only", options->sections.only,
                   fmt::format("Sections: {}, regret (default: all)", fmt::join(reproduce::section_names(), ", ")))
      ->delimiter(',');
  command->add_flag("--quick", options->sections.quick, "One seed, few steps: to see that it works, not how fast");
  command->add_option("--trace", options->traces, "Trace files, whose steps are among those of the section regret")
      ->delimiter(',');
  command->add_option("--repeats", options->sections.repeats, "Windows a step and route, of which the median counts")
      ->capture_default_str();
  command->add_option("--json", options->json, "Also write results to this file");
  command->callback([options] { run(*options); });
}

}  // namespace pkv::cli
