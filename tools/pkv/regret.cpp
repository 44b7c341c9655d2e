#include "calibrate/measure_regret.hpp"
#include "calibrate/samples_json.hpp"
#include "commands.hpp"
#include "options.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/policy/profile_io.hpp"
#include "progress.hpp"
#include "report/json_file.hpp"
#include "report/table.hpp"
#include "step_timers.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <memory>

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

std::string table_of(const fit::RegretTable& table) {
  report::Table text({"", "steps", "mean", "worst", "mean", "worst", "over", "worst at"},
                     {"", "", "ratio", "ratio", "us", "us", "", ""});
  const auto add = [&](const fit::Regret& regret, const std::string& name) {
    text.add({name, fmt::to_string(regret.steps), fmt::format("{:.4f}", regret.mean_ratio),
              fmt::format("{:.3f}", regret.max_ratio), fmt::format("{:.2f}", regret.mean_us),
              fmt::format("{:.2f}", regret.max_us), fmt::to_string(regret.steps_over), regret.max_step});
  };
  add(table.policy, "policy");
  for (const fit::Regret& constant : table.constants) add(constant, "always " + constant.name);
  return text.text();
}

std::string workload_table(const std::vector<calibrate::WorkloadRegret>& workloads) {
  report::Table text({"workload", "G", "steps", "policy", "worst", "best constant", ""},
                     {"", "", "", "mean", "", "mean", ""});
  for (const calibrate::WorkloadRegret& workload : workloads) {
    const fit::RegretTable& all = workload.report.all;
    text.add({workload.workload, fmt::to_string(workload.group_size), fmt::to_string(workload.report.steps),
              fmt::format("{:.4f}", all.policy.mean_ratio), fmt::format("{:.3f}", all.policy.max_ratio),
              fmt::format("{:.4f}", all.constants.front().mean_ratio), all.constants.front().name});
  }
  return text.text();
}

nlohmann::ordered_json json_of(const fit::Regret& regret) {
  return {{"name", regret.name},
          {"steps", regret.steps},
          {"mean_ratio", regret.mean_ratio},
          {"max_ratio", regret.max_ratio},
          {"mean_us", regret.mean_us},
          {"max_us", regret.max_us},
          {"steps_over", regret.steps_over},
          {"max_step", regret.max_step}};
}

nlohmann::ordered_json json_of(const fit::RegretTable& table) {
  nlohmann::ordered_json constants = nlohmann::ordered_json::array();
  for (const fit::Regret& constant : table.constants) constants.push_back(json_of(constant));
  return {{"policy", json_of(table.policy)}, {"constants", std::move(constants)}};
}

nlohmann::ordered_json results_of(const calibrate::RegretRun& run, const std::string& profile) {
  nlohmann::ordered_json results = report::make_results("regret");
  results["profile"] = profile;
  results["regret_mean"] = run.all.all.policy.mean_ratio;
  results["regret_max"] = run.all.all.policy.max_ratio;
  results["regret_max_us"] = run.all.all.policy.max_us;
  results["steps_over"] = run.all.all.policy.steps_over;
  results["all"] = json_of(run.all.all);
  if (run.all.without_stream) results["without_stream"] = json_of(*run.all.without_stream);
  for (const calibrate::WorkloadRegret& workload : run.workloads) {
    results["rows"].push_back({{"workload", workload.workload},
                               {"group_size", workload.group_size},
                               {"policy", json_of(workload.report.all.policy)},
                               {"best_constant", json_of(workload.report.all.constants.front())}});
  }
  results["seconds"] = run.seconds;
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
  fmt::print("profile {} on {} steps, a plan shared by {} layers; over: by more than 5 % and 0.5 us\n\n{}\n", of.name,
             run.all.steps, options.layers_per_plan, table_of(run.all.all));
  if (run.all.without_stream) fmt::print("without stream\n{}\n", table_of(*run.all.without_stream));
  fmt::print("{}", workload_table(run.workloads));
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
