#include "regret_output.hpp"

#include "report/table.hpp"

#include <fmt/format.h>

#include <utility>

namespace pkv::cli {

namespace {

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

}  // namespace

std::string regret_tables(const calibrate::RegretRun& run) {
  std::string text = table_of(run.all.all);
  if (run.all.without_stream) text += fmt::format("\nwithout stream\n{}", table_of(*run.all.without_stream));
  return text + "\n" + workload_table(run.workloads);
}

nlohmann::ordered_json regret_json(const calibrate::RegretRun& run) {
  nlohmann::ordered_json json{{"all", json_of(run.all.all)}};
  if (run.all.without_stream) json["without_stream"] = json_of(*run.all.without_stream);
  json["workloads"] = nlohmann::ordered_json::array();
  for (const calibrate::WorkloadRegret& workload : run.workloads) {
    json["workloads"].push_back({{"workload", workload.workload},
                                 {"group_size", workload.group_size},
                                 {"policy", json_of(workload.report.all.policy)},
                                 {"best_constant", json_of(workload.report.all.constants.front())}});
  }
  json["seconds"] = run.seconds;
  return json;
}

}  // namespace pkv::cli
