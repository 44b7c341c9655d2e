#include "commands.hpp"
#include "options.hpp"
#include "persistentkv/policy/profile_io.hpp"
#include "persistentkv/policy/router.hpp"
#include "persistentkv/trace/step_sequence.hpp"
#include "report/json_file.hpp"
#include "route_backends.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <map>
#include <memory>

namespace pkv::cli {

namespace {

constexpr const char* kDescription =
    "Asks the policy which route a step should take, and why: every candidate, its estimated time, and the rule that\n"
    "ruled it out. With --backend, chooses among the routes that this backend has here; without it, among all there "
    "are.\n"
    "With --all-steps, counts the choices over a family's steps.";

constexpr const char* kExamples = R"(Examples:
  pkv route --lengths 40045,7017,3738,8537,2048,2048,2048,2048
  pkv route --family bucketed --profile rtx3060-paper-timed
  pkv route --backend cpu --lengths 40045,7017
  pkv route --explain --profile my-gpu.json --lengths 40045,7017
  pkv route --family zipf --all-steps)";

struct RouteCommand {
  ShapeOptions shape;
  StepChoice step;
  CutOptions cut;
  std::string profile = "rtx3060-paper";
  std::vector<std::string> profile_dirs;
  std::string backend;
  int layers_per_plan = 32;
  bool explain = true;
  bool all_steps = false;
  std::string json;

  void run() const;

 private:
  [[nodiscard]] PolicyInput input(std::span<const std::int32_t> lengths) const;
  void count_choices(const Router& router) const;
};

PolicyInput RouteCommand::input(std::span<const std::int32_t> lengths) const {
  PolicyInput input;
  input.step = {shape.shape, lengths, {}};
  input.dtype = shape.parsed_dtype();
  input.options = cut.resolve(Schedule::kWorkqueue, std::nullopt);
  input.page_size = shape.page_size;
  input.layers_per_plan = layers_per_plan;
  return input;
}

void RouteCommand::count_choices(const Router& router) const {
  const FamilyOptions options = step.family.resolve();
  const std::vector<Request> requests = generate_requests(options);
  StepSequence sequence(requests, options.max_active);
  std::map<std::string, std::int64_t> counts;
  std::vector<std::int32_t> lengths;
  StepRows rows;
  std::int64_t steps = 0;
  for (; steps < step.family.paper_steps() && sequence.next(rows); ++steps) {
    lengths.clear();
    for (const StepRow& row : rows.rows) lengths.push_back(static_cast<std::int32_t>(row.length_tokens));
    ++counts[std::string(to_string(router.choose(input(lengths)).route))];
  }
  fmt::print("profile {}: {} steps of {} B{} seed {}\n", router.profile().name, steps, step.family.family,
             options.max_active, options.seed);
  for (const auto& [route, count] : counts) fmt::print("  {:<24}{:>6}\n", route, count);
}

nlohmann::ordered_json decision_json(const Decision& decision) {
  nlohmann::ordered_json routes = nlohmann::ordered_json::array();
  for (const RouteVerdict& verdict : decision.routes) {
    nlohmann::ordered_json terms_us = nlohmann::ordered_json::object();
    for (const CostTerm term : kAllCostTerms)
      if (at(verdict.estimate.terms_us, term) > 0)
        terms_us[std::string(to_string(term))] = at(verdict.estimate.terms_us, term);
    routes.push_back({{"route", to_string(verdict.route)},
                      {"splits", verdict.splits},
                      {"fitted", verdict.estimate.is_fitted},
                      {"terms_us", std::move(terms_us)},
                      {"plan_us", verdict.estimate.plan_us},
                      {"estimate_us", verdict.estimate.total_us},
                      {"kv_us", verdict.estimate.kv_us},
                      {"underfill", verdict.estimate.underfill},
                      {"launch_us", verdict.estimate.launch_us},
                      {"merge_us", verdict.estimate.merge_us},
                      {"chosen", verdict.chosen},
                      {"ruled_out_by", verdict.ruled_out_by}});
  }
  return {{"profile", decision.profile},
          {"route", to_string(decision.choice.route)},
          {"splits", decision.choice.splits},
          {"reason", decision.reason},
          {"routes", std::move(routes)}};
}

void RouteCommand::run() const {
  std::vector<std::filesystem::path> directories(profile_dirs.begin(), profile_dirs.end());
  const Router router(find_profile(profile, directories));
  if (all_steps) {
    count_choices(router);
    return;
  }
  const std::vector<std::int32_t> lengths = step.resolve();
  const Decision decision = backend.empty()
                                ? router.explain(input(lengths))
                                : explain_with_backend(backend, router.profile(), input(lengths), shape.page_size);
  fmt::print("{}", describe(decision));
  if (json.empty()) return;
  nlohmann::ordered_json results = report::make_results("route");
  results["rows"].push_back(decision_json(decision));
  report::write_json_file(json, results);
}

}  // namespace

void add_route(CLI::App& app) {
  CLI::App* command = app.add_subcommand("route", kDescription);
  command->footer(kExamples);
  auto options = std::make_shared<RouteCommand>();
  command
      ->add_option("--profile", options->profile,
                   fmt::format("Profile: a file, or a name; built in: {}", fmt::join(built_in_profile_names(), ", ")))
      ->capture_default_str();
  command->add_option("--profile-dir", options->profile_dirs, "Folders to look for profiles in, before those built in")
      ->envname("PKV_PROFILE_PATH")
      ->delimiter(':');
  options->step.add_to(*command);
  CLI::Option* all_steps =
      command->add_flag("--all-steps", options->all_steps, "Count the choices over the steps that the paper measures");
  command
      ->add_flag("--explain", options->explain,
                 "Every route with its estimate, term by term where it is fitted: what is printed anyway")
      ->excludes(all_steps);
  command
      ->add_option("--layers", options->layers_per_plan,
                   "Layers that share what the host plans, where that is fitted; 0: not counted")
      ->capture_default_str();
  command->add_option("--backend", options->backend, "Only routes that this one has on this machine: cpu or cuda")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->excludes(all_steps);
  options->shape.add_to(*command);
  options->cut.add_to(*command);
  command->add_option("--json", options->json, "Also write the decision to this file");
  command->callback([options] { options->run(); });
}

}  // namespace pkv::cli
