// A profile from this machine's CPU, and what is made of it, with the least of everything.

#include "run_pkv.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace pkv::testing {
namespace {

using ::testing::HasSubstr;

constexpr const char* kShape = " --num-q-heads 2 --pool-gib 0.03 ";

nlohmann::json read_json(const std::string& path) {
  std::ifstream file(path);
  return nlohmann::json::parse(file);
}

TEST(Calibrate, OnTheCpuFromBeginningToEnd) {
  const TemporaryFolder folder;
  const std::string profile = folder.file("tiny.json"), samples = folder.file("samples.json"),
                    judged = folder.file("regret.json"), again = folder.file("again.json");
  const CommandResult calibrated =
      run_pkv("calibrate --backend cpu --quick --seconds 1 --group-sizes 2 --head-dims 16 --page-sizes 16 --output " +
              profile + " --json " + samples + kShape);
  ASSERT_EQ(calibrated.exit_code, 0) << calibrated.output;
  EXPECT_THAT(calibrated.output, HasSubstr("mean / median / max error"));
  EXPECT_EQ(read_json(profile)["name"], "tiny");
  EXPECT_EQ(read_json(profile)["calibrated"]["group_sizes"], nlohmann::json({2}));
  EXPECT_FALSE(read_json(samples)["samples"].empty());

  const CommandResult route = run_pkv(
      "route --explain --backend cpu --lengths 4000,100 --num-q-heads 2 --num-kv-heads 1 "
      "--head-dim 16 --layers 16 --profile " +
      profile);
  ASSERT_EQ(route.exit_code, 0) << route.output;
  EXPECT_THAT(route.output, HasSubstr("microseconds"));

  const CommandResult regret =
      run_pkv("regret --backend cpu --seconds 1 --rounds 2 --head-dim 16 --seeds 20260623 --profile " + profile +
              " --json " + judged + kShape);
  ASSERT_EQ(regret.exit_code, 0) << regret.output;
  EXPECT_THAT(regret.output, HasSubstr("without stream"));
  const nlohmann::json json = read_json(judged);
  EXPECT_EQ(json["command"], "regret");
  EXPECT_GT(json["regret_mean"], 0.5);
  EXPECT_GE(json["regret_max"], json["regret_mean"]);
  EXPECT_EQ(json["all"]["constants"].size(), 9U);

  // Without the machine: the same samples say the same.
  const CommandResult fitted = run_pkv("calibrate --from " + samples + " --output " + again);
  ASSERT_EQ(fitted.exit_code, 0) << fitted.output;
  EXPECT_EQ(read_json(again)["candidates"], read_json(profile)["candidates"]);
  const std::string rejudged = folder.file("rejudged.json");
  ASSERT_EQ(run_pkv("regret --profile " + again + " --from " + judged + " --json " + rejudged).exit_code, 0);
  EXPECT_EQ(read_json(rejudged)["all"], json["all"]);
}

TEST(Calibrate, RefusesBadInputAndSaysWhy) {
  const TemporaryFolder folder;
  const std::string broken = folder.write("broken.json", "{\"samples\": [{}]");
  const std::string empty = folder.write("empty.json", "{\"rows\": []}");
  const std::string half = folder.write("half.json", "{\"samples\": [{\"workload\": \"x\"}]}");
  struct Case {
    std::string arguments;
    int exit_code;
    const char* said;
  };
  for (const Case& c :
       {Case{"calibrate --from " + broken, 3, "not valid JSON"}, Case{"calibrate --from " + empty, 3, "has no samples"},
        Case{"calibrate --from " + half, 3, "has no profile"},
        Case{"calibrate --from /nonexistent.json", 3, "cannot be opened"}, Case{"calibrate --backend tpu", 2, "tpu"},
        Case{"calibrate --backend cpu --rounds 0", 2, "rounds is 0"},
        Case{"calibrate --backend cpu --dtypes fp8", 2, "fp8"}, Case{"regret", 2, "--profile"},
        Case{"regret --profile rtx3060-paper --from " + half, 3, "samples[0]"},
        Case{"regret --backend cpu --profile rtx3060-paper", 2, "must be of this device"}}) {
    const CommandResult run = run_pkv(c.arguments);
    EXPECT_EQ(run.exit_code, c.exit_code) << c.arguments << '\n' << run.output;
    EXPECT_THAT(run.output, HasSubstr(c.said)) << c.arguments;
  }
}

}  // namespace
}  // namespace pkv::testing
