// The GPU through the command line: where there is none, a message that says what to do; where there is one, the same
// work as on the CPU.

#include "run_pkv.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cstdlib>

namespace pkv::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

/// Hides all GPUs from the commands that are run while it lives.
class NoGpu {
 public:
  NoGpu() {
    if (const char* visible = std::getenv("CUDA_VISIBLE_DEVICES")) before_ = visible;
    was_set_ = std::getenv("CUDA_VISIBLE_DEVICES") != nullptr;
    setenv("CUDA_VISIBLE_DEVICES", "", 1);
  }
  ~NoGpu() {
    if (was_set_)
      setenv("CUDA_VISIBLE_DEVICES", before_.c_str(), 1);
    else
      unsetenv("CUDA_VISIBLE_DEVICES");
  }
  NoGpu(const NoGpu&) = delete;
  NoGpu& operator=(const NoGpu&) = delete;

 private:
  std::string before_;
  bool was_set_ = false;
};

bool has_gpu() { return run_pkv("info").output.find("gpu name") != std::string::npos; }

TEST(WithoutAGpu, CudaIsRefusedAndExplained) {
  const NoGpu hidden;
  const char* message = PKV_HAVE_CUDA ? "no CUDA device: " : "this build has no CUDA: run scripts/setup-cuda";
  for (const char* command :
       {"replay --backend cuda", "replay --backend cuda --trace /nonexistent.csv", "bench --backend cuda",
        "bench --backend cuda --processes 2", "reproduce", "reproduce --backend cuda --quick --only counters",
        "timeline", "calibrate", "regret --profile rtx3060-paper"}) {
    const CommandResult run = run_pkv(command);
    EXPECT_EQ(run.exit_code, 4) << command << '\n' << run.output;
    EXPECT_THAT(run.output, AllOf(HasSubstr(message), Not(HasSubstr("cudaError")))) << command;
  }
}

TEST(Info, TellsWhatCudaThisBuildHas) {
  const std::string info = run_pkv("info").output;
  EXPECT_THAT(info, HasSubstr(PKV_HAVE_CUDA ? "cpu, cuda" : "this build has no CUDA"));
}

TEST(OnAGpu, AReplayDoesTheWorkThatItDoesOnTheCpu) {
  if (!PKV_HAVE_CUDA || !has_gpu()) GTEST_SKIP() << "needs a build with CUDA and a GPU";
  const TemporaryFolder folder;
  const std::string trace = std::string(PKV_SOURCE_DIR) + "/examples/traces/mooncake_conversation_200.jsonl";
  for (const std::string& workload :
       {std::string("--family bucketed"), "--kv-budget-gib 0.1 --share-prefixes --clock profile --trace " + trace}) {
    nlohmann::json rows[2];
    for (const bool cuda : {false, true}) {
      const std::string json = folder.file(cuda ? "cuda.json" : "cpu.json");
      const CommandResult run =
          run_pkv("replay " + workload + " --steps 4 --num-q-heads 4 --num-kv-heads 2 --head-dim 64 --backend " +
                  (cuda ? "cuda" : "cpu") + " --json " + json);
      ASSERT_EQ(run.exit_code, 0) << run.output;
      std::ifstream file(json);
      rows[cuda ? 1 : 0] = nlohmann::json::parse(file)["rows"];
    }
    ASSERT_EQ(rows[0].size(), rows[1].size());
    for (std::size_t i = 0; i < rows[0].size(); ++i) {
      const nlohmann::json &cpu = rows[0][i], &cuda = rows[1][i];
      EXPECT_GT(cuda["time_us"], 0.0);
      EXPECT_GT(cuda["limit_us"], 0.0);
      if (cpu["route"] == "stream") continue;  // cut for as many workers as there are
      for (const char* counter : {"route", "steps", "kv_bytes", "physical_pages", "launches", "merge_launches",
                                  "decode_ctas", "merge_mib", "outputs_checked"})
        EXPECT_EQ(cpu[counter], cuda[counter]) << cpu["route"] << ' ' << counter;
    }
  }
}

TEST(OnAGpu, QuickTablesOfTheStudyAreMade) {
  if (!PKV_HAVE_CUDA || !has_gpu()) GTEST_SKIP() << "needs a build with CUDA and a GPU";
  const TemporaryFolder folder;
  const std::string json = folder.file("reproduce.json");
  const CommandResult run = run_pkv("reproduce --quick --only counters,splits,isolated --json " + json);
  ASSERT_EQ(run.exit_code, 0) << run.output;
  std::ifstream file(json);
  const nlohmann::json results = nlohmann::json::parse(file);
  EXPECT_TRUE(results["problems"].empty());
  for (const nlohmann::json& counted : results["counters"]) EXPECT_TRUE(counted["as_published"].get<bool>()) << counted;
  for (const nlohmann::json& row : results["rows"])
    for (const char* member : {"time_us", "plan_us", "limit_us", "kv_bytes"})
      EXPECT_GT(row[member].get<double>(), 0.0) << member << row;
}

}  // namespace
}  // namespace pkv::testing
