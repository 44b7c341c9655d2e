// The paper's choices, step by step, on the paper's traces: the router against the paper's rule written down once more.
#include "persistentkv/policy/profile_io.hpp"
#include "persistentkv/policy/router.hpp"
#include "persistentkv/trace/paper_runs.hpp"
#include "persistentkv/trace/step_sequence.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <string_view>
#include <vector>

namespace pkv {
namespace {

using Lengths = std::vector<std::int32_t>;

constexpr std::uint32_t kSeeds[] = {20260622, 20260623, 20260624, 20260625, 20260626, 20260627};

std::vector<Lengths> measured_steps(const PaperRun& run, std::uint32_t seed) {
  StepSequence sequence(generate_requests(run.options(seed)), run.max_active);
  std::vector<Lengths> steps;
  StepRows step;
  while (static_cast<std::int64_t>(steps.size()) < run.num_steps && sequence.next(step)) {
    Lengths& lengths = steps.emplace_back();
    for (const StepRow& row : step.rows) lengths.push_back(static_cast<std::int32_t>(row.length_tokens));
  }
  return steps;
}

std::int64_t up_to_four(std::int64_t x) { return (x + 3) / 4 * 4; }

// All in ms, for Hq = 32, Hkv = 8, d = 128 in fp16: a token is 4096 bytes, a partial state 520.
double paper_ms(double kv_mib, double ctas, int launches, double merge_bytes) {
  return kv_mib / 302.0 * std::max(1.0, 4.0 / (ctas / 28.0)) + launches * 0.008 + merge_bytes / 1048576.0 / 302.0;
}

double kv_mib(const Lengths& lengths) {
  double tokens = 0;
  for (const std::int32_t length : lengths) tokens += length;
  return tokens / 256.0;
}

std::int64_t longest(const Lengths& lengths) { return *std::max_element(lengths.begin(), lengths.end()); }

double flashinfer_ms(const Lengths& lengths) { return paper_ms(kv_mib(lengths), 8.0 * lengths.size(), 1, 0); }

double split_ms(const Lengths& lengths, std::int64_t splits) {
  const double row_splits = static_cast<double>(lengths.size()) * static_cast<double>(splits);
  return paper_ms(kv_mib(lengths), row_splits * 8, 2, row_splits * 32 * 520);
}

double workqueue_ms(const Lengths& lengths) {
  const auto rows = static_cast<std::int64_t>(lengths.size());
  std::int64_t most = 0;
  for (const std::int32_t length : lengths) {
    const std::int64_t tiles = (length + 31) / 32;
    const std::int64_t wanted = std::max(up_to_four((255 + 8 * rows) / (8 * rows)), up_to_four((tiles + 63) / 64));
    most = std::max(most, std::max<std::int64_t>(4, std::min({wanted, std::int64_t{24}, tiles})));  // 8 rows or more
  }
  return split_ms(lengths, most);
}

/// Splits of a row that is alone: 256 CTAs are 32 splits of 8 KV heads.
std::int64_t lone_row_splits(std::int64_t tokens) {
  const std::int64_t tiles = (tokens + 31) / 32;
  return std::max<std::int64_t>(
      4, std::min({up_to_four(std::max<std::int64_t>(32, (tiles + 95) / 96)), std::int64_t{48}, tiles}));
}

Route paper_rule(const Lengths& lengths, int group_size) {
  if (group_size != 4) return Route::kFlashInferTensorCore;
  if (longest(lengths) < 16384) return Route::kFlashInferTensorCore;
  const double flashinfer = flashinfer_ms(lengths);
  if (lengths.size() <= 1 && split_ms(lengths, lone_row_splits(longest(lengths))) < flashinfer)
    return Route::kSequenceSplit;
  if (lengths.size() >= 8 && workqueue_ms(lengths) < flashinfer) return Route::kWorkqueue;
  return Route::kFlashInferTensorCore;
}

/// The earlier rule, that the published B1 row was timed by.
Route timed_rule(const Lengths& lengths, int group_size) {
  if (group_size != 4) return Route::kFlashInferTensorCore;
  if (lengths.size() <= 1) return Route::kSequenceSplit;
  const bool queue = lengths.size() >= 8 && workqueue_ms(lengths) < flashinfer_ms(lengths);
  return queue ? Route::kWorkqueue : Route::kFlashInferTensorCore;
}

struct RuleOfProfile {
  const char* profile;
  Route (*rule)(const Lengths&, int group_size);
};

class PaperChoices : public testing::TestWithParam<RuleOfProfile> {
 protected:
  Router router_{find_profile(GetParam().profile)};

  Route choose(const Lengths& lengths, const AttentionShape& shape = {32, 8, 128}) const {
    PolicyInput input;
    input.step.shape = shape;
    input.step.lengths = lengths;
    return router_.choose(input).route;
  }
};

TEST_P(PaperChoices, EveryStepOfEveryTrace) {
  for (const PaperRun& run : paper_runs()) {
    for (const std::uint32_t seed : kSeeds) {
      const std::vector<Lengths> steps = measured_steps(run, seed);
      ASSERT_FALSE(steps.empty());
      for (std::size_t s = 0; s < steps.size(); ++s)
        ASSERT_EQ(to_string(choose(steps[s])), to_string(GetParam().rule(steps[s], 4)))
            << run.name << ", seed " << seed << ", step " << s;
    }
  }
}

// The sweep's other group sizes, with either the KV heads or the query heads changed.
TEST_P(PaperChoices, OtherGroupSizesGoToFlashInfer) {
  for (const PaperRun& run : paper_runs()) {
    for (const Lengths& lengths : measured_steps(run, 20260623)) {
      for (const AttentionShape& shape : {AttentionShape{32, 32, 128}, AttentionShape{32, 4, 128},
                                          AttentionShape{8, 8, 128}, AttentionShape{64, 8, 128}})
        ASSERT_EQ(choose(lengths, shape), Route::kFlashInferTensorCore) << run.name << ", G " << shape.group_size();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Profiles, PaperChoices,
                         testing::Values(RuleOfProfile{"rtx3060-paper", paper_rule},
                                         RuleOfProfile{"rtx3060-paper-timed", timed_rule}),
                         [](const auto& info) { return info.param.rule == paper_rule ? "paper" : "timed"; });

// What the rule comes to in the table that the paper prints: route -> steps, over all seeds.
std::map<std::string_view, int> routes_of(const char* profile, std::string_view run_name,
                                          const std::function<bool(const Lengths&)>& wanted) {
  const Router router(find_profile(profile));
  std::map<std::string_view, int> counts;
  for (const std::uint32_t seed : kSeeds) {
    for (const Lengths& lengths : measured_steps(find_paper_run(run_name), seed)) {
      if (!wanted(lengths)) continue;
      PolicyInput input;
      input.step.lengths = lengths;
      ++counts[to_string(router.choose(input).route)];
    }
  }
  return counts;
}

bool any_step(const Lengths&) { return true; }

TEST(PaperTable, BucketedB1IsSequenceSplitAsTimed) {
  EXPECT_EQ(routes_of("rtx3060-paper-timed", "bucketed-b1", any_step),
            (std::map<std::string_view, int>{{"sequence-split", 6 * 64}}));
}

TEST(PaperTable, BucketedB1IsMostlyGatedByTheStatedRule) {
  auto counts = routes_of("rtx3060-paper", "bucketed-b1", any_step);
  EXPECT_GT(counts["flashinfer-tensor-core"], 6 * 64 / 2);
  EXPECT_EQ(counts["flashinfer-tensor-core"] + counts["sequence-split"], 6 * 64);
}

TEST(PaperTable, FullLongStepsOfEightAreWorkqueue) {
  const auto full_and_long = [](const Lengths& lengths) { return lengths.size() == 8 && longest(lengths) >= 16384; };
  for (const char* run : {"bimodal-b8", "uniform-b8", "zipf-b8"}) {
    const auto counts = routes_of("rtx3060-paper", run, full_and_long);
    ASSERT_EQ(counts.size(), 1u) << run;
    EXPECT_EQ(counts.begin()->first, "workqueue") << run;
    EXPECT_GT(counts.begin()->second, 6 * 48 / 2) << run;
  }
}

TEST(PaperTable, BimodalB4IsFlashInfer) {
  for (const char* profile : {"rtx3060-paper", "rtx3060-paper-timed"}) {
    EXPECT_EQ(routes_of(profile, "bimodal-b4", any_step),
              (std::map<std::string_view, int>{{"flashinfer-tensor-core", 6 * 48}}))
        << profile;
  }
}

}  // namespace
}  // namespace pkv
