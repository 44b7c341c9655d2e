#include "run_pkv.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace pkv::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

nlohmann::json read_json(const std::string& path) {
  std::ifstream file(path);
  return nlohmann::json::parse(file);
}

TEST(Help, OfEveryCommandHasExamples) {
  for (const char* command : {"replay", "bench", "calibrate", "regret", "plan", "route", "report", "trace"}) {
    const CommandResult run = run_pkv(std::string(command) + " --help");
    EXPECT_EQ(run.exit_code, 0);
    EXPECT_THAT(run.output, HasSubstr(std::string("pkv ") + command)) << command;
    EXPECT_THAT(run.output, HasSubstr("Examples:")) << command;
  }
  EXPECT_EQ(run_pkv("--help").exit_code, 0);
}

TEST(Replay, JsonHasWhatItsSchemaPromises) {
  const TemporaryFolder folder;
  const CommandResult run =
      run_pkv(std::string("replay --steps 4 --dtype bf16 --json ") + folder.file("out.json") + kTiny);
  ASSERT_EQ(run.exit_code, 0) << run.output;
  const nlohmann::json json = read_json(folder.file("out.json"));
  EXPECT_EQ(json["schema"], 1);
  EXPECT_EQ(json["command"], "replay");
  for (const char* member : {"cpu", "gpu", "simd", "compiler", "version", "commit", "date"})
    EXPECT_TRUE(json["machine"].contains(member)) << member;
  ASSERT_EQ(json["rows"].size(), 7U);
  for (const auto& row : json["rows"]) {
    for (const char* member : {"workload", "route", "num_q_heads", "num_kv_heads", "head_dim", "dtype", "page_size",
                               "kv_bytes", "time_us", "plan_us", "limit_us"})
      EXPECT_TRUE(row.contains(member)) << member;
    EXPECT_GT(row["time_us"], 0.0);
    EXPECT_GT(row["outputs_checked"], 0);
    EXPECT_LE(row["max_relative_l2_error"], 8e-3);
  }
}

TEST(Replay, TraceFilesOfEveryFormatAreKnownByThemselves) {
  const TemporaryFolder folder;
  const std::pair<const char*, const char*> traces[] = {
      {"plain.txt", "\xef\xbb\xbfprompt_len,decode_len\r\n100,3\r\n40,0\r\n50,2"},
      {"list.txt", R"([{"prompt": 100, "decode": 3, "arrival": 0}, {"prompt": 50, "decode": 2, "arrival": 1}])"},
      {"azure23.txt",
       "TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:15:46.6805900,374,3\r\n"
       "2023-11-16 18:15:50.9951690,396,2"},
      {"azure24.txt", "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:00.009930+00:00,374,3\n"},
      {"burst.txt",
       "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,472,3,475,API log\n"},
      {"mooncake.txt", "{\"timestamp\": 0, \"input_length\": 600, \"output_length\": 3, \"hash_ids\": [0, 1]}\n"},
  };
  for (const auto& [name, text] : traces) {
    const std::string path = folder.write(name, text);
    const CommandResult run = run_pkv("replay --kv-budget-gib 0.01 --trace " + path + kTiny);
    EXPECT_EQ(run.exit_code, 0) << name << run.output;
    EXPECT_THAT(run.output, AllOf(HasSubstr("conservation holds"), HasSubstr("0 rejected"))) << name;
    const CommandResult described = run_pkv("trace describe " + path);
    EXPECT_EQ(described.exit_code, 0) << described.output;
  }
  EXPECT_THAT(run_pkv("trace describe " + folder.file("plain.txt")).output, HasSubstr("1 rows with nothing to decode"));
}

TEST(Replay, SharedPrefixesAndBothClocks) {
  const std::string trace = std::string(PKV_SOURCE_DIR) + "/examples/traces/mooncake_conversation_200.jsonl";
  const std::string common = "replay --routes stream --steps 6 --kv-budget-gib 0.02 --trace " + trace + kTiny;
  const CommandResult shared = run_pkv(common + "--share-prefixes");
  EXPECT_EQ(shared.exit_code, 0) << shared.output;
  EXPECT_THAT(shared.output, AllOf(HasSubstr("prompt tokens found in shared pages"), HasSubstr("what stream took")));
  const CommandResult profiled = run_pkv(common + "--clock profile --layers 32");
  EXPECT_EQ(profiled.exit_code, 0) << profiled.output;
  EXPECT_THAT(profiled.output, HasSubstr("what profile rtx3060-paper estimates for its choice, times 32 layers"));
}

TEST(Replay, AFamilyThroughTheAllocator) {
  const CommandResult run = run_pkv(std::string("replay --pages allocator --kv-budget-gib 0.05 --steps 5") + kTiny);
  EXPECT_EQ(run.exit_code, 0) << run.output;
  EXPECT_THAT(run.output, HasSubstr("conservation holds: 40 tokens decoded"));
}

TEST(Plan, TextAndTimeline) {
  const TemporaryFolder folder;
  const CommandResult run = run_pkv("plan --route stream --lengths 65536,2048,2048 --svg " + folder.file("plan.svg"));
  ASSERT_EQ(run.exit_code, 0) << run.output;
  EXPECT_THAT(run.output, HasSubstr("plan stream: 3 rows, 69632 tokens"));
  std::ifstream file(folder.file("plan.svg"));
  const std::string svg((std::istreambuf_iterator<char>(file)), {});
  EXPECT_THAT(svg, AllOf(::testing::StartsWith("<svg"), HasSubstr("28 lanes"), ::testing::EndsWith("</svg>\n")));
}

TEST(Route, ExplainsItself) {
  const CommandResult few = run_pkv("route --lengths 40000,30000");
  EXPECT_EQ(few.exit_code, 0);
  EXPECT_THAT(few.output, AllOf(HasSubstr("* flashinfer-tensor-core"), HasSubstr("must be at most 1")));
  const TemporaryFolder folder;
  ASSERT_EQ(run_pkv("route --json " + folder.file("route.json")).exit_code, 0);
  EXPECT_EQ(read_json(folder.file("route.json"))["rows"][0]["route"], "workqueue");
  const CommandResult cpu = run_pkv("route --backend cpu --lengths 40000,30000");  // which has no FlashInfer
  EXPECT_EQ(cpu.exit_code, 0);
  EXPECT_THAT(cpu.output, AllOf(HasSubstr("* stream"), HasSubstr("no backend has it: cpu: has no such route")));
  EXPECT_THAT(run_pkv("route --family bucketed --profile rtx3060-paper-timed --all-steps").output,
              HasSubstr("sequence-split"));
}

TEST(Trace, ConvertedFilesSayTheSame) {
  const TemporaryFolder folder;
  const std::string trace = std::string(PKV_SOURCE_DIR) + "/examples/traces/mooncake_conversation_200.jsonl";
  const auto describe = [](const std::string& path) {
    const std::string text = run_pkv("trace describe " + path).output;
    return text.substr(text.find('\n'));  // without the file's name
  };
  ASSERT_EQ(run_pkv("trace convert " + trace + " " + folder.file("a.json")).exit_code, 0);
  EXPECT_EQ(describe(folder.file("a.json")), describe(trace));
}

TEST(Report, ShowsAReplayAsAPage) {
  const TemporaryFolder folder;
  const std::string json = folder.file("replay.json");
  ASSERT_EQ(run_pkv("replay --steps 2 --check 0 --json " + json + kTiny).exit_code, 0);
  const std::string arguments = "report " + json + " --output " + folder.file("page.html");
  const CommandResult run = run_pkv(arguments);
  if (run.exit_code == 4) {
    EXPECT_THAT(run.output, HasSubstr("install libjs-vega, and build again"));
    return;
  }
  ASSERT_EQ(run.exit_code, 0) << run.output;
  std::ifstream file(folder.file("page.html"));
  const std::string page((std::istreambuf_iterator<char>(file)), {});
  EXPECT_THAT(page, ::testing::StartsWith("<!DOCTYPE html>"));
  EXPECT_THAT(page, ::testing::EndsWith("</html>\n"));
  const auto results = read_json(json);
  for (const auto& row : results["rows"])
    EXPECT_NE(page.find("<td>" + row["route"].get<std::string>() + "</td>"), std::string::npos) << row["route"];
}

TEST(Info, TellsOfThisMachine) {
  const CommandResult run = run_pkv("info");
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_THAT(run.output, AllOf(HasSubstr("simd"), HasSubstr("gpu"), HasSubstr("rtx3060-paper")));
}

}  // namespace
}  // namespace pkv::testing
