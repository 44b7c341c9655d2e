#include "commands.hpp"
#include "options.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/trace/readers.hpp"
#include "persistentkv/trace/summary.hpp"
#include "persistentkv/trace/writers.hpp"
#include "report/table.hpp"

#include <fmt/format.h>

#include <memory>

namespace pkv::cli {

namespace {

constexpr const char* kDescription =
    "Describes or converts a trace: a file in any format that pkv reads, or a family of the paper.";

constexpr const char* kExamples = R"(Examples:
  pkv trace describe azure.csv
  pkv trace describe --family zipf --requests 1000
  pkv trace convert mooncake.jsonl plain.csv)";

struct TraceCommand {
  FamilyChoice family;
  std::string input;
  std::string output;
  std::string format = "auto";

  [[nodiscard]] std::unique_ptr<RequestSource> open() const {
    if (input.empty()) return make_family_source(family.resolve());
    return open_trace(input, parse_trace_format(format));
  }
  void describe() const;
  void convert() const;
};

void TraceCommand::describe() const {
  const std::unique_ptr<RequestSource> source = open();
  const TraceSummary summary = summarize_trace(*source);
  fmt::print("{}\n{} requests; {} rows with nothing to decode skipped\n", source->name(), summary.requests,
             summary.skipped_rows);
  if (summary.arrival_unit == ArrivalUnit::kSteps) {
    fmt::print("arrivals over {} steps, {:.3g} a step\n", summary.duration, summary.arrival_rate);
  } else {
    fmt::print("arrivals over {:.1f} s, {:.3g} a second\n", static_cast<double>(summary.duration) / 1e6,
               summary.arrival_rate * 1e6);
  }
  if (summary.shared_prefix_fraction > 0.0)
    fmt::print("{:.1f}% of prompt tokens lie in full prefix blocks seen before\n",
               100.0 * summary.shared_prefix_fraction);
  report::Table table({"tokens", "min", "mean", "p50", "p95", "max"});
  const auto add = [&](const char* name, const TokenStatistics& t) {
    table.add({name, fmt::to_string(t.min), fmt::format("{:.1f}", t.mean), fmt::to_string(t.p50), fmt::to_string(t.p95),
               fmt::to_string(t.max)});
  };
  add("prompt", summary.prompt_tokens);
  add("decode", summary.decode_tokens);
  fmt::print("\n{}", table.text());
}

void TraceCommand::convert() const {
  const std::unique_ptr<RequestSource> source = open();
  const bool csv = output.ends_with(".csv");
  if (!csv && !output.ends_with(".json"))
    throw InvalidArgument(fmt::format("OUTPUT is '{}', must end in .csv or .json", output));
  const TraceWriteReport report = csv ? write_trace_csv(*source, output) : write_trace_json(*source, output);
  fmt::print("{} requests written to {}; {} rows with nothing to decode skipped\n", report.requests, output,
             source->skipped_rows());
  if (report.dropped_prefixes > 0)
    fmt::print("CSV cannot hold prefix block ids: those of {} requests were left out\n", report.dropped_prefixes);
}

}  // namespace

void add_trace(CLI::App& app) {
  CLI::App* command = app.add_subcommand("trace", kDescription);
  command->footer(kExamples);
  command->require_subcommand(1);
  auto options = std::make_shared<TraceCommand>();
  constexpr const char* kFormatHelp = "Format of FILE: auto, csv, json, azure, burstgpt or mooncake";

  CLI::App* describe = command->add_subcommand("describe", "What a trace is like: lengths, arrivals, shared prefixes");
  describe->add_option("FILE", options->input, "Trace file; without one, a family");
  describe->add_option("--format", options->format, kFormatHelp)->capture_default_str();
  options->family.add_to(*describe);
  describe->callback([options] { options->describe(); });

  CLI::App* convert = command->add_subcommand("convert", "Writes a trace in the plain CSV or JSON format");
  convert->add_option("FILE", options->input, "Trace file")->required();
  convert->add_option("OUTPUT", options->output, "File to write; .csv or .json tells which")->required();
  convert->add_option("--format", options->format, kFormatHelp)->capture_default_str();
  convert->callback([options] { options->convert(); });
}

}  // namespace pkv::cli
