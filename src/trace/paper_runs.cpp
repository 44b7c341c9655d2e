#include "persistentkv/trace/paper_runs.hpp"

#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

namespace pkv {

namespace {

constexpr std::array kRuns = {
    PaperRun{"bucketed-b1", TraceFamily::kBucketed, 1, 16, 64},
    PaperRun{"bimodal-b8", TraceFamily::kBimodal, 8, 24, 48},
    PaperRun{"uniform-b8", TraceFamily::kUniform, 8, 24, 48},
    PaperRun{"zipf-b8", TraceFamily::kZipf, 8, 24, 48},
    PaperRun{"homogeneous-b8", TraceFamily::kHomogeneous, 8, 24, 48},
    PaperRun{"bimodal-b4", TraceFamily::kBimodal, 4, 16, 48},
    PaperRun{"gqa-sweep", TraceFamily::kBimodal, 8, 8, 24},
};

}  // namespace

std::span<const PaperRun> paper_runs() noexcept { return kRuns; }

const PaperRun& find_paper_run(std::string_view name) {
  const auto found = std::find_if(kRuns.begin(), kRuns.end(), [&](const PaperRun& run) { return run.name == name; });
  if (found != kRuns.end()) return *found;
  std::vector<std::string_view> names;
  names.reserve(kRuns.size());
  for (const PaperRun& run : kRuns) names.push_back(run.name);
  throw InvalidArgument(fmt::format("paper run is '{}', must be one of {}", name, fmt::join(names, ", ")));
}

}  // namespace pkv
