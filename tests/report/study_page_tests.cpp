// The page of serving runs, timelines, the study's tables, regret and calibration.

#include "page_specs.hpp"
#include "persistentkv/core/error.hpp"
#include "report/page/assets.hpp"
#include "report/page/page.hpp"
#include "study_samples.hpp"
#include "support/thrown.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>

namespace pkv::report {
namespace {

using testing::Folder;
using ::testing::HasSubstr;
using testing::specs;

class StudyPage : public ::testing::Test {
 protected:
  void SetUp() override {
    if (vega_modules().empty()) GTEST_SKIP() << "this build has no Vega";
  }
  [[nodiscard]] std::string page(const nlohmann::json& json) const {
    return results_page({folder_.read("a.json", json)});
  }
  [[nodiscard]] std::string refusal(const nlohmann::json& json) const {
    return testing_support::thrown_by<IoError>([&] { (void)page(json); });
  }
  const Folder folder_;
};

const nlohmann::json& values(const nlohmann::json& spec) { return spec["data"][0]["values"]; }

nlohmann::json signal(const nlohmann::json& spec, const std::string& name) {
  for (const nlohmann::json& signal : spec["signals"])
    if (signal["name"] == name) return signal["value"];
  return "no such signal";
}

TEST_F(StudyPage, OfServingHasACurveForEachRoute) {
  const std::string html = page(testing::serving_sample());
  const std::vector<nlohmann::json> plots = specs(html);
  ASSERT_EQ(plots.size(), 2U);
  EXPECT_EQ(values(plots[0])[1], (nlohmann::json{{"route", "stream"}, {"x", 2.0}, {"share", 0.5}, {"unit", "ms"}}));
  EXPECT_EQ(values(plots[0]).size(), 2U);  // the longest of all is not drawn
  EXPECT_EQ(values(plots[1])[1]["x"], 0.3);
  EXPECT_THAT(html, HasSubstr("<td class=\"number\" data-value=\"80\">80</td>"));  // of limit
  EXPECT_THAT(html, HasSubstr("stream 77"));

  nlohmann::json json = testing::serving_sample();
  json["cdf_shares"] = {0.0, 1.0};
  EXPECT_THAT(refusal(json),
              HasSubstr("a.json: rows[0].time_per_output_token_us.cdf has 3 numbers, must have as many as "
                        "cdf_shares, 2"));
  json = testing::serving_sample();
  for (const char* member : {"time_per_output_token_us", "time_to_first_token_us"})
    json["rows"][0][member]["cdf"] = nlohmann::json::array();  // nobody finished
  EXPECT_EQ(specs(page(json)).size(), 0U);
}

TEST_F(StudyPage, OfATimelineHasLanesAndTheirBars) {
  const std::vector<nlohmann::json> plots = specs(page(testing::timeline_sample()));
  ASSERT_EQ(plots.size(), 2U);
  EXPECT_EQ(values(plots[0]), (nlohmann::json{{{"route", "stream"}, {"x", 0.0}, {"y", 0}},
                                              {{"route", "stream"}, {"x", 1.0}, {"y", 1}},
                                              {{"route", "stream"}, {"x", 7.0}, {"y", 0}},
                                              {{"route", "stream"}, {"x", 10.0}, {"y", 0}}}));
  EXPECT_EQ(signal(plots[1], "lanes"), 3);
  EXPECT_EQ(signal(plots[1], "end"), 10.0);
  std::multiset<std::string> kinds;
  for (const nlohmann::json& bar : values(plots[1])) kinds.insert(bar["kind"]);
  EXPECT_EQ(kinds, (std::multiset<std::string>{"cta", "cta", "join", "join", "task", "task"}));
  const nlohmann::json& task = values(plots[1])[2];
  EXPECT_EQ(task["x"], 2.0);
  EXPECT_EQ(task["y"], 1.0);  // SM 2 stops before SM 1, and after SM 0, which does nothing
  EXPECT_EQ(task["y2"], 1.5);
  EXPECT_THAT(task["text"].get<std::string>(), HasSubstr("row 5, KV head 3, tokens [0, 64)"));
}

TEST_F(StudyPage, OfATimelineNamesWhatIsNotAsItMustBe) {
  nlohmann::json json = testing::timeline_sample();
  json["rows"][0]["timeline"]["tasks"][1].erase(9);
  EXPECT_THAT(refusal(json),
              HasSubstr("a.json: rows[0].timeline.tasks[1] is [0,0,1,2,6,0,64,128,2.5], must be a list of 10"));
  json = testing::timeline_sample();
  json["rows"][0]["timeline"]["ctas"][0][2] = -1;
  EXPECT_THAT(refusal(json), HasSubstr("rows[0].timeline.ctas[0][2] is -1, must be an integer"));
  json = testing::timeline_sample();
  json["rows"][0]["timeline"]["num_sms"] = 1e9;
  EXPECT_THAT(refusal(json), HasSubstr("rows[0].timeline.num_sms is 1000000000.0, must be in [1, 4096]"));
  for (const char* member : {"num_sms", "duration_us", "clock_error_us", "dropped_stamps", "ctas", "tasks"}) {
    json = testing::timeline_sample();
    json["rows"][0]["timeline"].erase(member);
    EXPECT_THAT(refusal(json), HasSubstr(std::string("a.json: rows[0].timeline.") + member + " is missing, must be"));
  }
}

TEST_F(StudyPage, OfTheStudyHasRatiosWithDeviationsAndPublishedFigures) {
  const std::string html = page(testing::reproduce_sample());
  const std::vector<nlohmann::json> plots = specs(html);
  ASSERT_EQ(plots.size(), 4U);  // three of ratios, one of regret
  const nlohmann::json& fair = values(plots[0])[0];
  EXPECT_EQ(fair["label"], "zipf-b8");
  EXPECT_EQ(fair["mean"], 1.25);
  EXPECT_DOUBLE_EQ(fair["low"], 1.2);
  EXPECT_DOUBLE_EQ(fair["high"], 1.3);
  EXPECT_FALSE(fair.contains("published"));
  EXPECT_EQ(values(plots[2])[0]["published"], 1.1);
  EXPECT_EQ(values(plots[3]).size(), 2U);
  EXPECT_THAT(html, HasSubstr("1.250 \u00b1 0.050"));
  EXPECT_THAT(html, HasSubstr("something was odd"));
  EXPECT_THAT(html, HasSubstr("trace-x"));

  nlohmann::json json = testing::reproduce_sample();
  for (auto& [clock, bases] : json["summary"][0]["ratios"].items())
    for (auto& [base, ratio] : bases.items()) ratio = nullptr;  // FlashInfer did not run
  EXPECT_EQ(specs(page(json)).size(), 1U);
  json["summary"][0].erase("ratios");
  EXPECT_THAT(refusal(json), HasSubstr("a.json: summary[0].ratios is missing, must be an object"));
  json.erase("summary");
  json.erase("regret");
  json["rows"] = nlohmann::json::array();
  EXPECT_EQ(specs(page(json)).size(), 0U);
}

TEST_F(StudyPage, OfRegretPutsThePolicyBesideConstants) {
  nlohmann::json json = testing::regret_sample();
  const std::vector<nlohmann::json> plots = specs(page(json));
  ASSERT_EQ(plots.size(), 1U);
  ASSERT_EQ(values(plots[0]).size(), 2U);
  EXPECT_EQ(values(plots[0])[0]["label"], "policy");
  EXPECT_NEAR(values(plots[0])[0]["value"], 1.0, 1e-9);
  EXPECT_EQ(values(plots[0])[1]["note"], "2.00%, worst 50.0%");
  json["without_stream"] = testing::regrets_sample();
  EXPECT_EQ(specs(page(json)).size(), 2U);
  json["all"]["constants"][0].erase("max_ratio");
  EXPECT_THAT(refusal(json), HasSubstr("a.json: all.constants[0].max_ratio is missing, must be a number > 0"));
}

TEST_F(StudyPage, OfACalibrationHasErrors) {
  const std::vector<nlohmann::json> plots = specs(page(testing::calibrate_sample()));
  ASSERT_EQ(plots.size(), 1U);
  EXPECT_EQ(values(plots[0])[0]["label"], "stream/24, G = 4");
  EXPECT_EQ(values(plots[0])[0]["note"], "2.0%, worst 10%");
}

TEST_F(StudyPage, TakesHostileNamesForText) {
  const std::string hostile = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
  for (const nlohmann::json& good : {testing::serving_sample(), testing::timeline_sample(), testing::reproduce_sample(),
                                     testing::regret_sample(), testing::calibrate_sample()}) {
    nlohmann::json bad = good;
    for (const char* member : {"workload", "route", "dtype", "clock"})
      if (bad["rows"][0].contains(member)) bad["rows"][0][member] = hostile;
    if (bad.contains("problems")) bad["problems"][0] = hostile;
    const std::string html = page(bad);
    EXPECT_EQ(html.find("<img"), std::string::npos);
    EXPECT_EQ(html.find("<script>alert"), std::string::npos);
  }
}

TEST_F(StudyPage, PlotsAreNamedAsVegaWantsIt) {
  for (const char* name :
       {"bars", "cdf", "cdf_log", "limit", "over", "ratio", "readers", "replay_time", "steps", "timeline"}) {
    const nlohmann::json spec = nlohmann::json::parse(page_asset(std::string(name) + ".json"));
    std::set<std::string> names;  // of data and marks alike: one that is there twice stops the plot
    for (const nlohmann::json& data : spec["data"]) EXPECT_TRUE(names.insert(data["name"]).second) << name;
    for (const nlohmann::json& mark : spec["marks"]) {
      if (mark.contains("name")) {
        EXPECT_TRUE(names.insert(mark["name"]).second) << name << ' ' << mark["name"];
      }
    }
  }
}

}  // namespace
}  // namespace pkv::report
