#include "reproduce.hpp"

#include "persistentkv/core/error.hpp"
#include "published.hpp"
#include "sections.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <chrono>

namespace pkv::reproduce {

namespace {

struct Section {
  std::string_view name;
  void (*run)(Bench& bench, const Effort& effort, Output& output);
  std::int64_t (*bytes)(const Effort& effort);
};

constexpr std::array kSections = {
    Section{"main", main_table, main_table_bytes},
    Section{"counters", counters, [](const Effort&) { return counters_bytes(); }},
    Section{"splits", split_sensitivity, main_table_bytes},
    Section{"gqa", gqa_sweep, [](const Effort&) { return gqa_sweep_bytes(); }},
    Section{"isolated", isolated, [](const Effort&) { return isolated_bytes(); }},
    Section{"ablations", ablations, [](const Effort&) { return ablations_bytes(); }},
    Section{"mlp", mlp_share, main_table_bytes},
};

Effort effort_of(const ReproduceOptions& options) {
  if (options.repeats < 1 || options.repeats > 1000)
    throw InvalidArgument(fmt::format("repeats is {}, must be in [1, 1000]", options.repeats));
  if (options.quick)
    return {.seeds = {kHeldOutSeeds.front()}, .divide_steps = 8, .repeats = std::min(options.repeats, 2)};
  return {.seeds = {kHeldOutSeeds.begin(), kHeldOutSeeds.end()}, .repeats = options.repeats};
}

bool is_chosen(const ReproduceOptions& options, std::string_view name) {
  return options.only.empty() || std::find(options.only.begin(), options.only.end(), name) != options.only.end();
}

void require_known_sections(const ReproduceOptions& options) {
  std::vector<std::string_view> names = section_names();
  names.reserve(names.size() + options.more.size());
  for (const MoreSection& section : options.more) names.push_back(section.name);
  for (const std::string& name : options.only)
    if (std::find(names.begin(), names.end(), name) == names.end())
      throw InvalidArgument(fmt::format("only is '{}', must be one of {}", name, fmt::join(names, ", ")));
}

/// Runs it and keeps the time; one that cannot run is left out.
void run_section(const std::string& name, const std::function<void()>& run, Output& output) {
  const auto begin = std::chrono::steady_clock::now();
  try {
    run();
  } catch (const Unsupported& error) {
    output.results["skipped"][name] = error.what();
    output.print(fmt::format("Section {} is left out: {}\n", name, error.what()));
  }
  output.results["section_seconds"][name] =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

std::int64_t Effort::steps(const PaperRun& run) const noexcept {
  return std::max<std::int64_t>(run.num_steps / divide_steps, 1);
}

std::vector<std::string_view> section_names() {
  std::vector<std::string_view> names;
  names.reserve(kSections.size());
  for (const Section& section : kSections) names.push_back(section.name);
  return names;
}

std::int64_t kv_bytes_needed(const ReproduceOptions& options) {
  require_known_sections(options);
  const Effort effort = effort_of(options);
  std::int64_t bytes = 0;
  for (const Section& section : kSections)
    if (is_chosen(options, section.name)) bytes = std::max(bytes, section.bytes(effort));
  return bytes;
}

void reproduce(const ReproduceOptions& options, Bench& bench, Output& output) {
  require_known_sections(options);
  const Effort effort = effort_of(options);
  output.results["quick"] = options.quick;
  output.results["repeats"] = effort.repeats;
  output.results["seeds"] = effort.seeds;
  output.results["published_setup"] = kPublishedSetup;
  output.results["summary"] = nlohmann::ordered_json::array();
  output.results["counters"] = nlohmann::ordered_json::array();
  output.results["skipped"] = nlohmann::ordered_json::object();
  output.results["section_seconds"] = nlohmann::ordered_json::object();
  for (const Section& section : kSections)
    if (is_chosen(options, section.name))
      run_section(
          std::string(section.name), [&] { section.run(bench, effort, output); }, output);
  for (const MoreSection& section : options.more)
    if (is_chosen(options, section.name))
      run_section(
          section.name, [&] { section.run(output); }, output);
}

}  // namespace pkv::reproduce
