#include "commands.hpp"
#include "options.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/plan/planner.hpp"
#include "report/json_file.hpp"
#include "report/plan_svg.hpp"

#include <fmt/format.h>

#include <memory>

namespace pkv::cli {

namespace {

constexpr const char* kDescription =
    "Shows how a schedule cuts one step: who reads which tokens of which row and KV head, and what is merged; as "
    "text,\n"
    "and as a timeline of the workers in SVG.";

constexpr const char* kExamples = R"(Examples:
  pkv plan --route stream --workers 28                          step 0 of the paper's bimodal trace
  pkv plan --route workqueue --lengths 65536,2048,2048 --svg workqueue.svg
  pkv plan --route exact-buckets --family zipf --step 10 --lines 20)";

struct PlanCommand {
  ShapeOptions shape;
  StepChoice step;
  CutOptions cut;
  std::string route = "stream";
  int lanes = 28;
  int lines = 40;
  std::string svg;

  void run() const {
    if (lines < 0) throw InvalidArgument(fmt::format("lines is {}, must be >= 0", lines));
    const Schedule schedule = parse_schedule(route);
    const std::vector<std::int32_t> lengths = step.resolve();
    std::optional<TraceFamily> family;
    if (step.lengths.empty()) family = parse_trace_family(step.family.family);
    PlanOptions options = cut.resolve(schedule, family);
    if (options.num_workers == 0) options.num_workers = lanes;
    const WorkPlan plan = make_plan(schedule, {shape.shape, lengths, {}}, options);
    fmt::print("{}", describe(plan, lines));
    if (svg.empty()) return;
    report::write_file(
        svg, report::plan_timeline_svg(plan, {.lanes = lanes, .segment_cost_tokens = options.segment_cost_tokens}));
    fmt::print("timeline written to {}\n", svg);
  }
};

}  // namespace

void add_plan(CLI::App& app) {
  CLI::App* command = app.add_subcommand("plan", kDescription);
  command->footer(kExamples);
  auto options = std::make_shared<PlanCommand>();
  command->add_option("--route", options->route, "Schedule")->capture_default_str();
  options->step.add_to(*command);
  options->shape.add_to(*command);
  options->cut.add_to(*command);
  command
      ->add_option("--lanes", options->lanes,
                   "CTAs that run at once, e.g. SMs; stream's workers unless --workers is given")
      ->capture_default_str();
  command->add_option("--lines", options->lines, "Lines of the listing at most")->capture_default_str();
  command->add_option("--svg", options->svg, "Write the timeline to this file");
  command->callback([options] { options->run(); });
}

}  // namespace pkv::cli
