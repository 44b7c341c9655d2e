#include "timeline.hpp"

#include "commands.hpp"
#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <memory>

namespace pkv::cli {

namespace {

constexpr const char* kDescription =
    "Runs one step with kernels that stamp what they do with the GPU's clocks, and shows where its time goes: when "
    "plans\n"
    "are made, when data arrives, who ends last. L2 is cold, and the median of the rounds is shown. The stamps cost\n"
    "something: the time without them is printed beside.";

constexpr const char* kExamples = R"(Examples:
  pkv timeline --only b64-half-128-4k --svg timeline.svg        two routes, one above the other
  pkv timeline --lengths 65536,2048,2048,2048 --routes stream,sequence-split,workqueue-fused
  pkv timeline --only b8 --kv-heads 8,4 --json timelines.json   and then: pkv report timelines.json -o page.html
  pkv timeline --only b8-1k --routes stream --chained           behind another step, as layers follow one another)";

void run(const TimelineOptions& options) {
  if (options.backend == "cpu")
    throw Unsupported("backend is cpu, must be cuda: only the GPU's kernels stamp their time");
  if (options.backend != "cuda") throw InvalidArgument(fmt::format("backend is '{}', must be cuda", options.backend));
  if (options.rounds < 1 || options.rounds > 1000)
    throw InvalidArgument(fmt::format("rounds is {}, must be in [1, 1000]", options.rounds));
  timeline_cuda(options);
}

}  // namespace

void add_timeline(CLI::App& app) {
  CLI::App* command = app.add_subcommand("timeline", kDescription);
  command->footer(kExamples);
  auto options = std::make_shared<TimelineOptions>();
  command->add_option("--backend", options->backend, "Whose kernels: cuda")->capture_default_str();
  command->add_option("--route,--routes", options->routes, "Schedules, one after the other")
      ->delimiter(',')
      ->capture_default_str();
  command->add_option("--lengths", options->lengths, "Tokens of each row of one step, instead of a suite")
      ->delimiter(',');
  command
      ->add_option("--suite", options->suite, "Workloads: decode, hpc-ops-skewed, paper, or a JSON file of that form")
      ->capture_default_str();
  command->add_option("--only", options->only, "Only workloads whose name contains this")->capture_default_str();
  command->add_option("--kv-heads", options->kv_heads, "Numbers of KV heads, one after the other (default: as --hkv)")
      ->delimiter(',');
  command->add_flag("--chained", options->chained,
                    "Behind another step, on other pages, by programmatic dependent launch");
  command->add_option("--rounds", options->rounds, "Times that a step is stamped")->capture_default_str();
  command->add_option("--max-ctas", options->max_ctas, "CTAs that stream may use (default: the engine's)");
  command->add_option("--json", options->json, "Also write results to this file");
  command->add_option("--svg", options->svg, "Draw the steps into this file, one above the other");
  options->shape.add_to(*command);
  options->cut.add_to(*command);
  command->callback([options] { run(*options); });
}

}  // namespace pkv::cli
