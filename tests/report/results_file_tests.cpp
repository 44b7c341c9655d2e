// What is no results file, or lacks what the page needs, is named by file and member.

#include "persistentkv/core/error.hpp"
#include "report/page/assets.hpp"
#include "report/page/page.hpp"
#include "results_samples.hpp"
#include "support/thrown.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pkv::report {
namespace {

using testing::Folder;
using ::testing::HasSubstr;

std::string refusal(const std::string& text) {
  const Folder folder;
  const std::string path = folder.write("bad.json", text);
  return testing_support::thrown_by<IoError>([&] {
    std::vector<ResultsFile> files;
    files.push_back(read_results(path));  // moved: a copy of JSON that nests deeply would exhaust the stack
    (void)results_page(files);
  });
}

TEST(ResultsFile, ThatIsNotOneIsRefused) {
  EXPECT_THAT(refusal(""), HasSubstr("bad.json: is no JSON: "));
  EXPECT_THAT(refusal("{\"schema\": 1, \"rows\": [{\"a"), HasSubstr("bad.json: is no JSON: "));
  EXPECT_THAT(refusal("{\"schema\": \"\xff\"}"), HasSubstr("bad.json: is no JSON: "));
  EXPECT_THAT(refusal(std::string(100000, '[')), HasSubstr("bad.json: is no JSON: "));
  EXPECT_THAT(refusal("[1, 2]"), HasSubstr("bad.json: is no results file: must be a JSON object"));
  EXPECT_THAT(refusal("{}"), HasSubstr("bad.json: schema is missing, must be 1"));
  EXPECT_THAT(refusal("{\"schema\": 2}"), HasSubstr("bad.json: schema is 2, must be 1"));
  EXPECT_THAT(refusal("{\"schema\": \"1\"}"), HasSubstr("bad.json: schema is \"1\", must be 1"));
  EXPECT_THAT(refusal("{\"schema\": 1, \"command\": \"route\"}"),
              HasSubstr("bad.json: command is \"route\", must be one of replay, bench, serving, timeline, reproduce, "
                        "regret, calibrate"));
  EXPECT_THROW((void)read_results("/nonexistent.json"), IoError);
  EXPECT_THROW((void)read_results("/"), IoError);
}

TEST(ResultsFile, ThatNestsDeeplyIsRefusedToo) {
  const std::string deep = std::string(1000000, '[') + std::string(1000000, ']');
  EXPECT_THAT(refusal("{\"schema\": " + deep + "}"), HasSubstr("bad.json: schema is a list of 1, must be 1"));
  std::string text = testing::replay_sample().dump();
  text.replace(text.find("\"a CPU\""), 7, "\"a CPU\", \"compiler\": " + deep);
  text.replace(text.find("49.0"), 4, deep);
  if (!vega_modules().empty()) {
    EXPECT_THAT(refusal(text), HasSubstr("rows[0].time_p50_us is a list of 1, must be a number > 0"));
  }
}

TEST(ResultsFile, WithoutAMemberOfTheFileNamesIt) {
  for (const char* member : {"schema", "command", "machine", "rows"}) {
    nlohmann::json json = testing::cuda_bench_sample();
    json.erase(member);
    EXPECT_THAT(refusal(json.dump()), HasSubstr(std::string("bad.json: ") + member + " is missing"));
  }
  for (const char* member : {"cpu", "version", "commit", "date"}) {
    nlohmann::json json = testing::cuda_bench_sample();
    json["machine"][member] = 7;
    EXPECT_THAT(refusal(json.dump()), HasSubstr(std::string("bad.json: machine.") + member + " is 7, must be a text"));
  }
  nlohmann::json json = testing::cuda_bench_sample();
  json["machine"]["gpu"].erase("name");
  EXPECT_THAT(refusal(json.dump()), HasSubstr("bad.json: machine.gpu.name is missing"));
  json["rows"] = nlohmann::json::array();
  json["machine"]["gpu"] = nullptr;
  EXPECT_THAT(refusal(json.dump()), HasSubstr("bad.json: rows is a list of 0, must be a list with at least one row"));
  json["rows"] = {1};
  EXPECT_THAT(refusal(json.dump()), HasSubstr("bad.json: rows[0] is no object"));
}

TEST(ResultsFile, WithoutAMemberOfARowNamesIt) {
  if (vega_modules().empty()) GTEST_SKIP() << "this build has no Vega";
  const struct {
    nlohmann::json json;
    std::vector<const char*> members;
  } kinds[] = {
      {testing::cuda_bench_sample(),
       {"workload", "route", "dtype", "num_q_heads", "num_kv_heads", "pdl", "kv_bytes", "limit_us", "time_us"}},
      {testing::cpu_bench_sample(), {"workload", "route", "dtype", "simd", "reader_pages_gbps", "time_us", "limit_us"}},
      {testing::replay_sample(),
       {"workload", "route", "kv_bytes", "time_us", "time_p50_us", "time_p95_us", "time_p99_us", "tokens_per_s"}},
  };
  for (const auto& [good, members] : kinds) {
    for (const char* member : members) {
      nlohmann::json json = good;
      json["rows"].push_back(json["rows"][0]);
      json["rows"][1].erase(member);
      EXPECT_THAT(refusal(json.dump()), HasSubstr(std::string("bad.json: rows[1].") + member + " is missing, must be"));
      json["rows"][1][member] = nullptr;  // what a number that is none becomes in JSON
      EXPECT_THAT(refusal(json.dump()), HasSubstr(std::string("bad.json: rows[1].") + member + " is null, must be"));
    }
    nlohmann::json json = good;
    json["rows"][0]["time_us"] = 0;
    EXPECT_THAT(refusal(json.dump()), HasSubstr("bad.json: rows[0].time_us is 0, must be a number > 0"));
    json["rows"][0]["time_us"] = std::string(1000, 'x');
    EXPECT_LT(refusal(json.dump()).size(), 300U);
  }
}

}  // namespace
}  // namespace pkv::report
