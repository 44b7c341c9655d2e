#include "calibrate/designed_steps.hpp"

#include "persistentkv/core/error.hpp"
#include "persistentkv/trace/paper_runs.hpp"

#include <gtest/gtest.h>

#include <unistd.h>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>

namespace pkv::calibrate {
namespace {

std::int64_t tokens_of(const NamedStep& step) {
  return std::accumulate(step.lengths.begin(), step.lengths.end(), std::int64_t{0});
}

TEST(GridSteps, CoverBatchesAndTokensFromTheBeginning) {
  constexpr std::int64_t kMost = 1 << 19;
  for (const int count : {8, 24, 96}) {
    const std::vector<NamedStep> steps = grid_steps(count, kMost);
    ASSERT_EQ(steps.size(), static_cast<std::size_t>(count));
    int few = 0, many = 0, small = 0, large = 0;
    for (const NamedStep& step : steps) {
      EXPECT_GE(step.lengths.size(), 1u);
      EXPECT_LE(step.lengths.size(), 256u);
      EXPECT_LE(tokens_of(step), kMost * 4);  // rows are random about their mean
      EXPECT_GE(*std::min_element(step.lengths.begin(), step.lengths.end()), 1);
      (step.lengths.size() <= 16 ? few : many)++;
      (tokens_of(step) <= 23170 ? small : large)++;  // the geometric middle of 1 Ki and kMost
    }
    for (const int part : {few, many, small, large}) EXPECT_GE(part, count / 4) << count;
  }
}

TEST(GridSteps, AreTheSameEveryTime) {
  const std::vector<NamedStep> a = grid_steps(40, 100000), b = grid_steps(50, 100000);
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i].lengths, b[i].lengths);
  EXPECT_EQ(grid_steps(4, 1).size(), 4u);
}

TEST(FamilySteps, AreStepsOfTheStudy) {
  const std::vector<NamedStep> steps = family_steps(kHeldOutSeeds[0], 2);
  ASSERT_EQ(steps.size(), 12u);
  const auto first = std::find_if(steps.begin(), steps.end(),
                                  [](const NamedStep& step) { return step.workload == "bimodal-b8 seed 20260623"; });
  ASSERT_NE(first, steps.end());
  // As in suites/paper.json.
  EXPECT_EQ(first->lengths, (Lengths{61504, 8752, 3952, 2848, 34528, 2928, 3520, 2896}));
  EXPECT_NE((first + 1)->lengths, first->lengths);
  EXPECT_EQ((first + 1)->workload, first->workload);
}

class TraceSteps : public ::testing::Test {
 protected:
  TraceSteps() : path_(std::filesystem::temp_directory_path() / ("pkv-steps-" + std::to_string(getpid()) + ".csv")) {}
  ~TraceSteps() override { std::filesystem::remove(path_); }
  std::filesystem::path path_;
};

TEST_F(TraceSteps, AreSpreadOverTheTrace) {
  std::ofstream(path_) << "prompt_len,decode_len,arrival\n1000,50,0\n2000,100,10\n";
  const std::vector<NamedStep> steps = trace_steps(path_.string(), {}, nullptr, {.count = 5});
  ASSERT_EQ(steps.size(), 5u);
  // Steps 11, 33, 55, 77 and 99 of 110; the second request comes with the eleventh.
  EXPECT_EQ(steps[0].lengths, (Lengths{1011, 2001}));
  EXPECT_EQ(steps[1].lengths, (Lengths{1033, 2023}));
  EXPECT_EQ(steps[4].lengths, (Lengths{2089}));
  EXPECT_EQ(steps[0].workload, path_.filename().string());
  EXPECT_THROW((void)trace_steps("/nowhere.csv", {}, nullptr), IoError);
}

TEST(Interleave, TakesTurns) {
  const auto named = [](const char* name) { return NamedStep{name, {}}; };
  const std::vector<NamedStep> all = interleave({named("a"), named("b"), named("c")}, {named("1")});
  std::string names;
  for (const NamedStep& step : all) names += step.workload;
  EXPECT_EQ(names, "a1bc");
}

}  // namespace
}  // namespace pkv::calibrate
