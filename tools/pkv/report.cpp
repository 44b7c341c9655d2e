#include "commands.hpp"
#include "report/json_file.hpp"
#include "report/page/page.hpp"

#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

namespace pkv::cli {

namespace {

constexpr const char* kDescription =
    "Makes one HTML page of results that pkv wrote with --json (bench, replay, timeline, calibrate, regret, "
    "reproduce):\n"
    "tables that can be sorted, and plots. The page has all it needs inside, and fetches nothing.";

constexpr const char* kExamples = R"(Examples:
  pkv report h200-bench.json --output h200.html
  pkv report reproduce.json serving.json timeline.json --output gpu.html
  pkv report replay-cpu.json replay-gpu.json --output replays.html)";

struct ReportCommand {
  std::vector<std::string> results;
  std::string output;

  void run() const {
    std::vector<report::ResultsFile> files;
    files.reserve(results.size());
    for (const std::string& path : results) files.push_back(report::read_results(path));
    report::write_file(output, report::results_page(files));
    fmt::print("page written to {}\n", output);
  }
};

}  // namespace

void add_report(CLI::App& app) {
  CLI::App* command = app.add_subcommand("report", kDescription);
  command->footer(kExamples);
  auto options = std::make_shared<ReportCommand>();
  command->add_option("results", options->results, "Results files, in the order of the page")->required();
  command->add_option("--output,-o", options->output, "Write the page to this file")->required();
  command->callback([options] { options->run(); });
}

}  // namespace pkv::cli
