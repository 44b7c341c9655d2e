#include "calibrate/calibrate.hpp"

#include "calibrate/samples_json.hpp"
#include "commands.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/policy/profile_io.hpp"
#include "progress.hpp"
#include "report/json_file.hpp"
#include "report/table.hpp"
#include "serving_platform.hpp"
#include "step_timers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <memory>

namespace pkv::cli {

namespace {

constexpr const char* kDescription =
    "Measures this machine and writes its device profile: steps of many batches, lengths and shapes on every route,\n"
    "fitted to a cost model (docs/design/policy.md), with the error on steps that a fit had not seen. About a minute.";

constexpr const char* kExamples = R"(Examples:
  pkv calibrate
  pkv calibrate --backend cuda --output profiles/my-gpu.json --json my-gpu-calibration.json
  pkv calibrate --backend cpu --group-sizes 4 --seconds 20
  pkv calibrate --from my-gpu-calibration.json --output my-gpu.json
  pkv route --profile my-gpu.json --lengths 40045,7017)";

struct CalibrateCommand {
  TimerOptions timer;
  calibrate::CalibrationOptions options;
  std::vector<std::string> dtypes{"fp16", "bf16"};
  std::string output;
  std::string json;
  std::string from;
  bool quick = false;

  void run();

 private:
  [[nodiscard]] calibrate::Calibration measure();
  [[nodiscard]] calibrate::Calibration fit_again() const;
  void print(const calibrate::Calibration& calibration) const;
};

/// "NVIDIA H200" -> "nvidia-h200": what a profile and its file may be called.
std::string file_name_of(const std::string& device) {
  std::string name;
  for (const char c : device) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0)
      name += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    else if (!name.empty() && name.back() != '-')
      name += '-';
  }
  while (!name.empty() && name.back() == '-') name.pop_back();
  return name.empty() ? "device" : name.substr(0, 100);
}

std::string label_of(const RouteCandidate& candidate) {
  return candidate.splits > 0 ? fmt::format("{}/{}", to_string(candidate.route), candidate.splits)
                              : std::string(to_string(candidate.route));
}

std::string shape_label(const RouteFit& fit) {
  return fmt::format("G{} d{} {}", fit.group_size, fit.head_dim, to_string(fit.dtype));
}

/// Cross-validated errors, a row a route and a column a shape.
std::string error_table(const DeviceProfile& profile) {
  std::vector<std::string> shapes;
  for (const RouteCandidate& candidate : profile.candidates)
    for (const RouteFit& fit : candidate.fits)
      if (std::find(shapes.begin(), shapes.end(), shape_label(fit)) == shapes.end()) shapes.push_back(shape_label(fit));
  std::vector<std::string> head{"route"}, units{"mean / median / max error, %"};
  for (const std::string& shape : shapes) {
    head.push_back(shape);
    units.emplace_back();
  }
  report::Table table(head, units);
  for (const RouteCandidate& candidate : profile.candidates) {
    std::vector<std::string> row{label_of(candidate)};
    for (const std::string& shape : shapes) {
      const auto fit = std::find_if(candidate.fits.begin(), candidate.fits.end(),
                                    [&](const RouteFit& f) { return shape_label(f) == shape; });
      row.push_back(fit == candidate.fits.end() ? "-"
                                                : fmt::format("{:.1f} / {:.1f} / {:.1f}", fit->error.mean * 100,
                                                              fit->error.median * 100, fit->error.max * 100));
    }
    table.add(row);
  }
  return table.text();
}

/// Coefficients of the first shape, and of planning.
std::string coefficient_table(const DeviceProfile& profile) {
  std::vector<CostTerm> terms;
  for (const CostTerm term : kAllCostTerms) {
    const auto has = [&](const RouteCandidate& candidate) { return at(candidate.fits.front().us, term) > 0; };
    if (std::any_of(profile.candidates.begin(), profile.candidates.end(), has)) terms.push_back(term);
  }
  std::vector<std::string> head{fmt::format("us, {}", shape_label(profile.candidates.front().fits.front())), "CTAs/SM"};
  for (const CostTerm term : terms) head.emplace_back(to_string(term));
  for (const char* plan : {"plan step", "row", "task"}) head.emplace_back(plan);
  report::Table table(head);
  for (const RouteCandidate& candidate : profile.candidates) {
    const RouteFit& fit = candidate.fits.front();
    std::vector<std::string> row{label_of(candidate), fmt::format("{:g}", fit.resident_ctas_per_sm)};
    for (const CostTerm term : terms)
      row.push_back(at(fit.us, term) > 0 ? fmt::format("{:.4g}", at(fit.us, term)) : "");
    const PlanFit plan = candidate.plan.value_or(PlanFit{});
    for (const double us : {plan.step_us, plan.row_us, plan.task_us}) row.push_back(fmt::format("{:.3g}", us));
    table.add(row);
  }
  return table.text();
}

/// For the clock of serving runs from this profile alone.
void add_mlp(DeviceProfile& profile) {
  constexpr std::int64_t kMostRows = 256;
  const serving::MlpTimes mlp = measure_cuda_mlp(kMostRows);
  profile.mlp.reserve(mlp.points().size());
  for (const serving::MlpPoint& point : mlp.points()) profile.mlp.push_back({static_cast<int>(point.batch), point.us});
  fmt::print("the MLP of a layer, for serving runs, {}\n", mlp.source());
}

nlohmann::ordered_json results_of(const calibrate::Calibration& calibration) {
  nlohmann::ordered_json results = report::make_results("calibrate");
  for (const RouteCandidate& candidate : calibration.fitted.profile.candidates) {
    for (const RouteFit& fit : candidate.fits) {
      results["rows"].push_back({{"route", to_string(candidate.route)},
                                 {"splits", candidate.splits},
                                 {"group_size", fit.group_size},
                                 {"head_dim", fit.head_dim},
                                 {"dtype", to_string(fit.dtype)},
                                 {"steps", fit.error.steps},
                                 {"error_mean", fit.error.mean},
                                 {"error_median", fit.error.median},
                                 {"error_max", fit.error.max}});
    }
  }
  const fit::ExpectedRegret& regret = calibration.fitted.regret;
  results["expected_regret"] = {{"steps", regret.steps},
                                {"policy", regret.policy},
                                {"no_margin", regret.no_margin},
                                {"safe_route", regret.safe_route}};
  results["shared_fits"] = calibration.fitted.shared_fits;
  results["seconds"] = calibration.seconds;
  // Read back by --from.
  results["profile"] = nlohmann::ordered_json::parse(profile_to_json(calibration.fitted.profile));
  results["samples"] = calibrate::samples_to_json(calibration.samples);
  return results;
}

calibrate::Calibration CalibrateCommand::measure() {
  const std::unique_ptr<calibrate::StepTimer> step_timer = timer.make();
  const nlohmann::ordered_json machine = report::make_results("calibrate")["machine"];
  if (output.empty()) output = file_name_of(step_timer->facts().device_name) + ".json";
  options.name = std::filesystem::path(output).stem().string();
  options.measured_by =
      fmt::format("pkv {} ({})", machine["version"].get<std::string>(), machine["commit"].get<std::string>());
  options.date = machine["date"].get<std::string>();
  Progress progress("calibrate", 1000);
  return calibrate::calibrate(*step_timer, options,
                              [&](double done) { progress.update(static_cast<std::int64_t>(done * 1000)); });
}

calibrate::Calibration CalibrateCommand::fit_again() const {
  const nlohmann::ordered_json results = read_results(from);
  if (!results.contains("profile")) throw IoError(fmt::format("{}: has no profile, must be of pkv calibrate", from));
  calibrate::Calibration calibration;
  calibration.facts = parse_profile(results["profile"].dump(2), from);
  calibration.samples = calibrate::samples_from_json(results["samples"], from);
  if (!output.empty()) calibration.facts.name = std::filesystem::path(output).stem().string();
  calibration.fitted =
      fit::fit_profile(calibration.facts, calibration.samples, options.choices, options.layers_per_plan);
  return calibration;
}

void CalibrateCommand::print(const calibrate::Calibration& calibration) const {
  const DeviceProfile& profile = calibration.fitted.profile;
  fmt::print("{}: {}\n\n{}\n{}\n", profile.device_name, profile.provenance.notes, error_table(profile),
             coefficient_table(profile));
  if (profile.measured) {
    fmt::print(
        "pages are read at {:.0f} GB/s; a node of a graph takes {:.2f} us, a launch {:.2f} us of the host, a MiB "
        "of states {:.2f} us to merge\n",
        profile.measured->page_read_gb_per_s, profile.measured->graph_node_us, profile.measured->launch_us,
        profile.measured->merge_us_per_mib);
  }
  if (const int shared = calibration.fitted.shared_fits; shared > 0)
    fmt::print("{} fits are another dtype's, which predicts their steps about as well as a fit of their own\n", shared);
  const fit::ExpectedRegret& regret = calibration.fitted.regret;
  fmt::print(
      "safe route {}, caution {:g}, margin {:g} %: mean cost over the best of {} steps {:.4f}; without caution and "
      "margin {:.4f}; always "
      "the safe route {:.4f}\n",
      to_string(profile.safe_route), profile.caution, profile.margin * 100, regret.steps, regret.policy,
      regret.no_margin, regret.safe_route);
}

void CalibrateCommand::run() {
  options.choices = calibrate::default_choices();
  options.dtypes.clear();
  for (const std::string& dtype : dtypes) options.dtypes.push_back(parse_dtype(dtype));
  if (quick) {
    options.seconds = std::min(options.seconds, 5.0);
    options.steps = std::min(options.steps, 12);
    options.rounds = std::min(options.rounds, 2);
    options.max_step_bytes = std::min<std::int64_t>(options.max_step_bytes, 64ll << 20);
  }
  calibrate::Calibration calibration = from.empty() ? measure() : fit_again();
  if (from.empty() && timer.backend == "cuda") add_mlp(calibration.fitted.profile);
  print(calibration);
  const std::string path = output.empty() ? calibration.fitted.profile.name + ".json" : output;
  save_profile(calibration.fitted.profile, path);
  if (!json.empty()) report::write_json_file(json, results_of(calibration));
  fmt::print("{}profile written to {}\n",
             from.empty() ? fmt::format("took {:.1f} s; ", calibration.seconds) : std::string(), path);
}

}  // namespace

void add_calibrate(CLI::App& app) {
  CLI::App* command = app.add_subcommand("calibrate", kDescription);
  command->footer(kExamples);
  auto state = std::make_shared<CalibrateCommand>();
  calibrate::CalibrationOptions& options = state->options;
  state->timer.add_to(*command);
  command->add_option("--output", state->output, "The profile's file (default: the device's name)");
  command->add_option("--json", state->json, "Also write errors and every sample to this file");
  command->add_option("--from", state->from, "Measure nothing: fit the samples of an earlier --json again")
      ->excludes("--backend");
  command->add_flag("--quick", state->quick, "A few steps, a few seconds: to try it");
  command->add_option("--seconds", options.seconds, "Time for steps, shared by the shapes")->capture_default_str();
  command->add_option("--steps", options.steps, "Steps of a shape at most")->capture_default_str();
  command->add_option("--rounds", options.rounds, "Repetitions of each step and route")->capture_default_str();
  command->add_option("--num-q-heads", options.num_q_heads, "Query heads")->capture_default_str();
  command->add_option("--group-sizes", options.group_sizes, "Query heads of a KV head")
      ->delimiter(',')
      ->capture_default_str();
  command->add_option("--head-dims", options.head_dims, "Elements of a head")->delimiter(',')->capture_default_str();
  command->add_option("--dtypes", state->dtypes, "fp16, bf16 or fp32; all but the first with fewer steps")
      ->delimiter(',')
      ->capture_default_str();
  command->add_option("--page-sizes", options.page_sizes, "Tokens of a page; all but the first with fewer steps")
      ->delimiter(',')
      ->capture_default_str();
  command->add_option("--layers", options.layers_per_plan, "Layers that share what the host plans; 0: not counted")
      ->capture_default_str();
  command->callback([state] { state->run(); });
}

}  // namespace pkv::cli
