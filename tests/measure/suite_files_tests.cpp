#include "persistentkv/core/error.hpp"
#include "persistentkv/measure/suite.hpp"
#include "persistentkv/trace/paper_runs.hpp"
#include "persistentkv/trace/step_sequence.hpp"
#include "support/temporary_folder.hpp"
#include "support/thrown.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

namespace pkv {
namespace {

using testing::HasSubstr;
using testing_support::thrown_by;

using SuiteFiles = testing_support::TemporaryFolder;

TEST_F(SuiteFiles, ThoseOfTheSourceTreeAreBuiltInAsTheyStand) {
  EXPECT_THAT(built_in_suites(), testing::UnorderedElementsAre("decode", "hpc-ops-skewed", "paper"));
  for (const std::string_view name : built_in_suites())
    EXPECT_EQ(load_suite(name), load_suite(std::string(PKV_SUITES_DIR) + "/" + std::string(name) + ".json")) << name;
  EXPECT_EQ(load_suite("decode").front(), (Workload{"b1-1k", {1024}}));
  EXPECT_EQ(load_suite("decode").size(), 19U);
}

TEST_F(SuiteFiles, TheNamesOfHpcOpsSayTheRows) {
  for (const Workload& workload : load_suite("hpc-ops-skewed")) {
    std::string name;
    for (auto row = workload.lengths.begin(); row != workload.lengths.end();) {
      const auto end = std::find_if(row, workload.lengths.end(), [&](std::int32_t tokens) { return tokens != *row; });
      if (!name.empty()) name += '+';
      name += std::to_string(end - row);
      name += 'x';
      name += *row >= 1024 ? std::to_string(*row / 1024) + "k" : std::to_string(*row);
      row = end;
    }
    EXPECT_EQ(name, workload.name);
  }
}

// Each run of the study but gqa-sweep, whose steps are those of bimodal-b8.
TEST_F(SuiteFiles, ThePapersAreTheFirstStepsOfItsRuns) {
  std::vector<Workload> expected;
  for (const PaperRun& run : paper_runs()) {
    StepRows step;
    ASSERT_TRUE(StepSequence(generate_requests(run.options(kHeldOutSeeds[0])), run.max_active).next(step));
    Workload workload{std::string(run.name), {}};
    for (const StepRow& row : step.rows) workload.lengths.push_back(static_cast<std::int32_t>(row.length_tokens));
    if (run.name != "gqa-sweep") {
      expected.push_back(workload);
    } else {
      EXPECT_EQ(workload.lengths, expected[1].lengths) << expected[1].name;
    }
  }
  EXPECT_EQ(load_suite("paper"), expected);
}

TEST_F(SuiteFiles, FilesByPath) {
  const std::string path = write("mine.json", "{\"mine\": [7, 9]}");
  EXPECT_THAT(load_suite(path), testing::ElementsAre(Workload{"mine", {7, 9}}));
  const std::string bare = write("mine", "{\"mine\": [8]}");
  EXPECT_THAT(load_suite(bare), testing::ElementsAre(Workload{"mine", {8}}));
}

TEST_F(SuiteFiles, WhatCannotBeReadIsNamed) {
  const auto refusal = [](const std::string& name) { return thrown_by<IoError>([&] { (void)load_suite(name); }); };
  EXPECT_EQ(refusal(folder_.string()), folder_.string() + ": is a directory");
  EXPECT_EQ(refusal((folder_ / "absent.json").string()), (folder_ / "absent.json").string() + ": cannot be opened");
  EXPECT_EQ(refusal("no-such-suite.json"), "no-such-suite.json: cannot be opened");
  const std::string bad = write("bad.json", "{\"a\": [1],\n\"b\": [-2]}");
  EXPECT_EQ(refusal(bad), bad + ":2: \"b\"[0] is -2, must be in [0, 1073741824] tokens");
  const std::string huge = write("huge.json", std::string((1 << 24) + 1, ' '));
  EXPECT_EQ(refusal(huge), huge + ": has more than 16777216 bytes, a suite has at most that");
}

TEST_F(SuiteFiles, UnknownNamesSayWhichThereAre) {
  for (const char* name : {"", "decod", "Decode", "decode "}) {
    EXPECT_THAT(thrown_by([&] { (void)load_suite(name); }),
                testing::AllOf(HasSubstr("suite is '" + std::string(name) + "'"),
                               HasSubstr("decode, hpc-ops-skewed, paper, or a file")));
  }
}

}  // namespace
}  // namespace pkv
