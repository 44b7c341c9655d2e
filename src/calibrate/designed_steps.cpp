#include "designed_steps.hpp"

#include "persistentkv/batching/continuous_batcher.hpp"
#include "persistentkv/core/error.hpp"
#include "persistentkv/trace/paper_runs.hpp"
#include "persistentkv/trace/readers.hpp"
#include "persistentkv/trace/step_sequence.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <random>
#include <string_view>

namespace pkv::calibrate {

namespace {

constexpr double kLeastTokens = 1024;
constexpr double kMostRows = 256;
constexpr double kStepUsWithoutEstimate = 20e3;
constexpr std::int64_t kPoolTokensPerRow = 131072;
constexpr std::array<std::string_view, 4> kKinds = {"alike", "uniform", "one long", "skewed"};

/// Rows of about `mean` tokens each, by kind.
Lengths rows_of(std::size_t kind, std::size_t rows, double mean, std::mt19937& random) {
  const auto unit = [&] { return (random() % 65536 + 0.5) / 65536; };
  Lengths lengths(rows);
  for (std::size_t row = 0; row < rows; ++row) {
    double tokens = mean;
    if (kind == 1) tokens = mean * 2 * unit();
    if (kind == 2 && rows > 1) tokens = row == rows / 3 ? mean * static_cast<double>(rows) / 2 : mean / 2;
    if (kind == 3) tokens = -mean * std::log(unit());
    lengths[row] = static_cast<std::int32_t>(std::clamp(tokens, 1.0, static_cast<double>(kMaxRowTokens)));
  }
  return lengths;
}

}  // namespace

std::vector<NamedStep> grid_steps(int count, std::int64_t max_tokens) {
  // The two-dimensional sequence of Martin Roberts: multiples of powers of the plastic number, modulo 1.
  constexpr double kPlastic = 1.32471795724474602596;
  std::vector<NamedStep> steps;
  steps.reserve(static_cast<std::size_t>(count));
  std::mt19937 random(kCalibrationSeed);
  for (int i = 0; i < count; ++i) {
    const double u = std::fmod(0.5 + (i + 1) / kPlastic, 1.0),
                 v = std::fmod(0.5 + (i + 1) / (kPlastic * kPlastic), 1.0);
    const double rows = std::floor(std::exp2(u * (std::log2(kMostRows) + 0.5)));
    const double most = std::max(static_cast<double>(max_tokens), kLeastTokens);
    const double tokens = kLeastTokens * std::pow(most / kLeastTokens, v);
    const std::size_t kind = static_cast<std::size_t>(i) % kKinds.size();
    const auto batch = static_cast<std::size_t>(std::min(rows, kMostRows));
    steps.push_back({fmt::format("grid, {}", kKinds[kind]),
                     rows_of(kind, batch, std::max(tokens / static_cast<double>(batch), 1.0), random)});
  }
  return steps;
}

std::vector<NamedStep> family_steps(std::uint32_t seed, int per_run) {
  std::vector<NamedStep> steps;
  for (const PaperRun& run : paper_runs()) {
    if (run.name == "gqa-sweep") continue;
    const FamilyOptions options = run.options(seed);
    const std::vector<Request> requests = generate_requests(options);
    StepSequence sequence(requests, options.max_active);
    StepRows rows;
    std::int64_t taken = 0;
    for (std::int64_t s = 0; s < run.num_steps && sequence.next(rows); ++s) {
      if (s * per_run < taken * run.num_steps) continue;
      ++taken;
      NamedStep step{fmt::format("{} seed {}", run.name, seed), {}};
      step.lengths.reserve(rows.rows.size());
      for (const StepRow& row : rows.rows) step.lengths.push_back(static_cast<std::int32_t>(row.length_tokens));
      steps.push_back(std::move(step));
    }
  }
  return steps;
}

std::vector<NamedStep> trace_steps(const std::string& path, const TimedShape& shape, const Router* router,
                                   const TraceStepOptions& options) {
  const std::unique_ptr<RequestSource> source = open_trace(path);
  ContinuousBatcher batcher(*source, {.max_active = options.max_active,
                                      .num_pages = std::clamp<std::int64_t>(
                                          options.max_active * kPoolTokensPerRow / shape.page_size, 1, kMaxPoolPages),
                                      .page_size = shape.page_size});
  const std::string name = std::filesystem::path(path).filename().string();
  std::vector<NamedStep> all;
  StepView view;
  for (std::int64_t s = 0; s < options.num_steps && batcher.next_step(view); ++s) {
    all.push_back({name, {view.lengths.begin(), view.lengths.end()}});
    double step_us = kStepUsWithoutEstimate;
    if (router != nullptr) {
      PolicyInput input;
      input.step = {shape.shape, view.lengths, {}};
      input.dtype = shape.dtype;
      input.page_size = shape.page_size;
      if (const auto estimate_us = router->rule(input).estimate_us) step_us = *estimate_us * options.layers;
    }
    (void)batcher.finish_step(step_us);
  }
  if (all.empty()) throw InvalidArgument(fmt::format("{} has no decode step, must have one", path));
  std::vector<NamedStep> steps;
  const auto count = std::min(static_cast<std::size_t>(options.count), all.size());
  steps.reserve(count);
  for (std::size_t i = 0; i < count; ++i) steps.push_back(std::move(all[(2 * i + 1) * all.size() / (2 * count)]));
  return steps;
}

std::vector<NamedStep> interleave(std::vector<NamedStep> first, std::vector<NamedStep> second) {
  std::vector<NamedStep> all;
  all.reserve(first.size() + second.size());
  for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i < first.size()) all.push_back(std::move(first[i]));
    if (i < second.size()) all.push_back(std::move(second[i]));
  }
  return all;
}

}  // namespace pkv::calibrate
