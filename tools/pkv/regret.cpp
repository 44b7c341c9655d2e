#include "calibrate/measure_regret.hpp"
#include "calibrate/samples_json.hpp"
#include "commands.hpp"
#include "options.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/policy/profile_io.hpp"
#include "progress.hpp"
#include "regret_output.hpp"
#include "report/json_file.hpp"
#include "step_timers.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <utility>

namespace pkv::cli {

namespace {

constexpr const char* kDescription =
    "Times every route on steps that the profile was not fitted on (held-out seeds of the study's families, and trace\n"
    "files), and tells how much the policy's choices cost over the best route of each step: the best by half of the\n"
    "repetitions, scored on the other half. Beside it, every route always taken, and the same without stream.";

constexpr const char* kExamples = R"(Examples:
  pkv regret --profile nvidia-h200.json --json regret.json
  pkv regret --profile my-gpu.json --trace azure.csv,mooncake.jsonl --group-sizes 4,8 --seconds 120 --check
  pkv regret --profile other-fit.json --from regret.json)";

constexpr double kGoodMean = 1.01;

struct RegretCommand {
  TimerOptions timer;
  calibrate::RegretRunOptions options;
  std::string profile;
  std::vector<std::string> profile_dirs;
  std::string dtype = "fp16";
  std::string json;
  std::string from;
  bool check = false;

  void run();
};

nlohmann::ordered_json results_of(const calibrate::RegretRun& run, const std::string& profile) {
  nlohmann::ordered_json results = report::make_results("regret");
  results["profile"] = profile;
  results["regret_mean"] = run.all.all.policy.mean_ratio;
  results["regret_max"] = run.all.all.policy.max_ratio;
  results["regret_max_us"] = run.all.all.policy.max_us;
  results["steps_over"] = run.all.all.policy.steps_over;
  nlohmann::ordered_json regret = regret_json(run);
  results["rows"] = std::move(regret["workloads"]);
  regret.erase("workloads");
  results.update(regret);
  results["samples"] = calibrate::samples_to_json(run.samples);
  return results;
}

void RegretCommand::run() {
  options.dtype = parse_dtype(dtype);
  const DeviceProfile of =
      find_profile(profile, std::vector<std::filesystem::path>(profile_dirs.begin(), profile_dirs.end()));
  calibrate::RegretRun run;
  if (from.empty()) {
    const std::unique_ptr<calibrate::StepTimer> step_timer = timer.make();
    Progress progress("regret", 1000);
    run = calibrate::measure_regret(*step_timer, of, options,
                                    [&](double done) { progress.update(static_cast<std::int64_t>(done * 1000)); });
  } else {
    run = calibrate::judge(calibrate::samples_from_json(read_results(from)["samples"], from), of,
                           options.layers_per_plan);
  }
  fmt::print("profile {} on {} steps, a plan shared by {} layers; over: by more than 5 % and 0.5 us\n\n{}", of.name,
             run.all.steps, options.layers_per_plan, regret_tables(run));
  if (from.empty()) fmt::print("took {:.1f} s\n", run.seconds);
  if (!json.empty()) report::write_json_file(json, results_of(run, of.name));
  const fit::Regret& policy = run.all.all.policy;
  if (check && (policy.mean_ratio > kGoodMean || policy.steps_over > 0)) {
    throw CheckFailed(
        fmt::format("mean regret is {:.4f}, must be at most {}; {} steps are over 1.05 and 0.5 us, must "
                    "be none",
                    policy.mean_ratio, kGoodMean, policy.steps_over));
  }
}

}  // namespace

void add_regret(CLI::App& app) {
  CLI::App* command = app.add_subcommand("regret", kDescription);
  command->footer(kExamples);
  auto state = std::make_shared<RegretCommand>();
  calibrate::RegretRunOptions& options = state->options;
  state->timer.add_to(*command);
  command->add_option("--profile", state->profile, "Profile of this device: a file, or a name")->required();
  command->add_option("--profile-dir", state->profile_dirs, "Folders to look for profiles in, before those built in")
      ->envname("PKV_PROFILE_PATH")
      ->delimiter(':');
  command->add_option("--trace", options.traces, "Trace files, each through continuous batching")->delimiter(',');
  command->add_option("--steps-per-trace", options.steps_per_trace, "Steps of each trace")->capture_default_str();
  command->add_option("--seeds", options.seeds, "Of the families; not the one that profiles are fitted on")
      ->delimiter(',');
  command->add_option("--steps-per-run", options.steps_per_run, "Steps of each of the study's runs and seeds")
      ->capture_default_str();
  command->add_option("--num-q-heads", options.num_q_heads, "Query heads")->capture_default_str();
  command->add_option("--group-sizes", options.group_sizes, "Query heads of a KV head (default: 4, 1 and 8)")
      ->delimiter(',');
  command->add_option("--head-dim", options.head_dim, "Elements of a head")->capture_default_str();
  command->add_option("--dtype", state->dtype, "fp16, bf16 or fp32")->capture_default_str();
  command->add_option("--page-size", options.page_size, "Tokens of a page")->capture_default_str();
  command->add_option("--rounds", options.rounds, "Repetitions of each step and route")->capture_default_str();
  command->add_option("--seconds", options.seconds, "Time for steps, shared by the group sizes")->capture_default_str();
  command->add_option("--layers", options.layers_per_plan, "Layers that share what the host plans; 0: not counted")
      ->capture_default_str();
  command->add_option("--from", state->from, "Measure nothing: judge the samples of an earlier --json")
      ->excludes("--backend");
  command->add_option("--json", state->json, "Also write regrets and every sample to this file");
  command->add_flag("--check", state->check,
                    "Exit code 1 where the mean is over 1.01 or a step is over 1.05 and 0.5 us");
  command->callback([state] { state->run(); });
}

}  // namespace pkv::cli
