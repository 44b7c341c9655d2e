// Traffic through the command line: on the CPU, from a profile alone, and on a GPU where there is one.

#include "run_pkv.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace pkv::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const std::string kTrace = std::string(PKV_SOURCE_DIR) + "/examples/traces/mooncake_conversation_200.jsonl";

nlohmann::json serve(const std::string& arguments) {
  const TemporaryFolder folder;
  const CommandResult run = run_pkv("replay --json " + folder.file("out.json") + " " + arguments);
  EXPECT_EQ(run.exit_code, 0) << run.output;
  if (run.exit_code != 0) return {};
  std::ifstream file(folder.file("out.json"));
  return nlohmann::json::parse(file);
}

TEST(Serving, FromAProfileAloneIsReplayedTheSameEverywhere) {
  const std::string arguments =
      "--backend model --profile rtx3060-paper --share-prefixes --requests 60 --speed 0.2 "
      "--mlp-us 250 --routes policy,stream --trace " +
      kTrace;
  const nlohmann::json json = serve(arguments);
  ASSERT_EQ(json["rows"].size(), 2U);
  EXPECT_EQ(json["command"], "serving");
  EXPECT_THAT(json["backend"], HasSubstr("nothing is run"));
  for (const auto& row : json["rows"]) {
    EXPECT_EQ(row["requests"], 60);
    EXPECT_EQ(row["finished"], 60);
    EXPECT_EQ(row["executed_steps"], 0);
    EXPECT_GT(row["shared_prompt_tokens"], 0);
    EXPECT_TRUE(row["model_error_median"].is_null());
    EXPECT_THAT(row["workload"], ::testing::Not(HasSubstr("/")));
    for (const char* name : {"time_per_output_token_us", "time_to_first_token_us", "queue_wait_us", "step_us"}) {
      const std::vector<double> cdf = row[name]["cdf"];
      EXPECT_EQ(cdf.size(), json["cdf_shares"].size()) << name;
      EXPECT_TRUE(std::is_sorted(cdf.begin(), cdf.end())) << name;
      EXPECT_LE(row[name]["p50"], row[name]["p99"]) << name;
    }
    for (const char* share : {"kv_pages_used", "kv_pages_promised", "kv_slots_filled"}) {
      EXPECT_GT(row[share], 0.0) << share;
      EXPECT_LE(row[share], 1.0) << share;
    }
    // The clock's rule, over the whole run.
    const double steps_us =
        row["steps"].get<double>() * (32 * (row["time_us"].get<double>() + 250) + row["plan_us"].get<double>());
    EXPECT_NEAR(row["busy_s"].get<double>() * 1e6, steps_us, steps_us * 1e-9);
  }
  nlohmann::json again = serve(arguments);
  EXPECT_EQ(again["rows"], json["rows"]);
}

TEST(Serving, AProfileKnowsTheMlpToo) {
  const TemporaryFolder folder;
  std::ifstream paper(std::string(PKV_SOURCE_DIR) + "/profiles/rtx3060-paper.json");
  nlohmann::json profile = nlohmann::json::parse(paper);
  profile["mlp"] = {{{"batch", 1}, {"us", 500.0}}, {{"batch", 64}, {"us", 500.0}}};
  const nlohmann::json json = serve("--backend model --requests 5 --routes policy --trace " + kTrace + " --profile " +
                                    folder.write("mine.json", profile.dump()));
  EXPECT_EQ(json["mlp"], "as measured for profile rtx3060-paper");
  EXPECT_EQ(json["rows"][0]["mlp_us"], 500.0);
}

TEST(Serving, OnTheCpuEachRouteServesTheSameRequests) {
  const nlohmann::json json = serve(
      "--serve --routes all --requests 6 --steps 40 --kv-budget-gib 0.02 --share-prefixes --prefill inline "
      "--layers 2 --trace " +
      kTrace + kTiny);
  ASSERT_EQ(json["rows"].size(), 7U);
  for (const auto& row : json["rows"]) {
    for (const char* member : {"workload", "route", "num_q_heads", "num_kv_heads", "head_dim", "dtype", "page_size",
                               "kv_bytes", "time_us", "plan_us", "limit_us"})
      EXPECT_TRUE(row.contains(member)) << member;
    EXPECT_EQ(row["executed_steps"], row["steps"]);
    EXPECT_EQ(row["route_steps"][row["route"].get<std::string>()], row["steps"]);
    EXPECT_GT(row["time_us"], 0.0);
    EXPECT_GT(row["limit_us"], 0.0);
    EXPECT_GE(row["checked_steps"], 1);
  }
}

TEST(Serving, SeveralTracesAndAFamily) {
  const CommandResult run = run_pkv(
      "replay --backend model --profile rtx3060-paper --requests 20 --routes stream "
      "--speed 1,0.5 --trace " +
      kTrace + "," + kTrace);
  EXPECT_EQ(run.exit_code, 0) << run.output;
  EXPECT_THAT(run.output, AllOf(HasSubstr("conservation holds"), HasSubstr("arrivals 0.5 times as fast")));
  const CommandResult family =
      run_pkv("replay --backend model --profile rtx3060-paper --family zipf --prefill none --kv-budget-gib 4");
  EXPECT_EQ(family.exit_code, 0) << family.output;
  EXPECT_THAT(family.output, AllOf(HasSubstr("arrivals count decode steps"), HasSubstr("policy ran")));
}

TEST(Serving, MostStepsMayBeScaledFromOthers) {
  const std::string arguments =
      "--serve --routes stream --requests 4 --kv-budget-gib 0.02 --layers 2 --run-every 10 "
      "--trace " +
      kTrace + kTiny;
  const nlohmann::json row = serve(arguments)["rows"][0];
  EXPECT_EQ(row["executed_steps"], (row["steps"].get<int>() + 9) / 10);
}

TEST(OnAGpu, EachRouteServesTheSameRequests) {
  if (!PKV_HAVE_CUDA || run_pkv("info").output.find("gpu name") == std::string::npos)
    GTEST_SKIP() << "needs a build with CUDA and a GPU";
  const nlohmann::json json = serve(
      "--serve --backend cuda --profile rtx3060-paper --routes policy,stream,workqueue --requests 20 --speed 2 "
      "--share-prefixes --check 100 --limit-every 10 --trace " +
      kTrace);
  ASSERT_EQ(json["rows"].size(), 3U);
  for (const auto& row : json["rows"]) {
    EXPECT_EQ(row["finished"], 20);
    EXPECT_EQ(row["executed_steps"], row["steps"]);
    EXPECT_GE(row["checked_steps"], 1);
    EXPECT_GT(row["limit_us"], 0.0);
    EXPECT_FALSE(row["model_error_median"].is_null());
  }
}

struct BadServing {
  const char* arguments;
  int exit_code;
  const char* message;

  friend void PrintTo(const BadServing& bad, std::ostream* out) { *out << "pkv replay " << bad.arguments; }
};

class BadServingArguments : public ::testing::TestWithParam<BadServing> {};

TEST_P(BadServingArguments, AreRefusedByName) {
  const CommandResult run = run_pkv("replay --trace " + kTrace + " " + GetParam().arguments + kTiny);
  EXPECT_EQ(run.exit_code, GetParam().exit_code) << run.output;
  EXPECT_THAT(run.output, HasSubstr(GetParam().message));
}

const BadServing kBad[] = {
    {"--backend model", 2, "profile is empty"},
    {"--backend model --profile nope", 3, "nope"},
    {"--backend model --profile rtx3060-paper --routes stream", 4, "profile rtx3060-paper says nothing of stream"},
    {"--speed 2", 2, "--speed is given, needs --serve"},
    {"--serve --speed 0", 2, "speed is 0, must be finite and > 0"},
    {"--serve --speed 1,2", 2, "speed has 2 values, must have one, or 1: one a trace"},
    {"--serve --seconds -1", 2, "seconds is -1, must be > 0"},
    {"--serve --prefill chunked", 2, "prefill is 'chunked', must be separate, inline or none"},
    {"--serve --prefill-tokens-per-s 0", 2, "tokens_per_s is 0"},
    {"--serve --run-every 0", 2, "run-every is 0, must be >= 1"},
    {"--serve --limit-every -1", 2, "limit_every is -1, must be >= 0"},
    {"--serve --mlp-us nan", 2, "mlp us is nan"},
    {"--serve --layers -1", 2, "layers is -1, must be >= 1"},
    {"--serve --routes flashinfer-cuda-core", 4, "route is flashinfer-cuda-core: cpu: has no such route"},
    {"--serve --routes nope", 2, "route is \"nope\""},
    {"--serve --kv-budget-gib 0.00001 --routes stream", 2, "nothing could be decoded"},
    {"--trace again.csv", 2, "trace names 2 files, must name one, or --serve be given"},
};

INSTANTIATE_TEST_SUITE_P(Serving, BadServingArguments, ::testing::ValuesIn(kBad));

}  // namespace
}  // namespace pkv::testing
