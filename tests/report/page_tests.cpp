#include "page_specs.hpp"
#include "persistentkv/core/error.hpp"
#include "report/page/assets.hpp"
#include "report/page/markup.hpp"
#include "report/page/page.hpp"
#include "results_samples.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

namespace pkv::report {
namespace {

using testing::Folder;
using ::testing::HasSubstr;
using testing::specs;

class Page : public ::testing::Test {
 protected:
  void SetUp() override {
    if (vega_modules().empty()) GTEST_SKIP() << "this build has no Vega";
  }
  const Folder folder_;
};

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

TEST_F(Page, HasEveryWorkloadOfTheResultsThatAreKept) {
  std::vector<ResultsFile> files;
  for (const char* name : {"h200-bench.json", "cpu-bench.json", "cpu-bench-xeon-16.json"})
    files.push_back(read_results(std::string(PKV_SOURCE_DIR) + "/docs/results/" + name));
  const std::string page = results_page(files);
  std::size_t rows = 0;
  for (const ResultsFile& file : files) {
    EXPECT_THAT(page, HasSubstr("<h2>" + file.name() + "</h2>"));
    EXPECT_THAT(page, HasSubstr(file.json["machine"]["commit"].get<std::string>()));
    EXPECT_THAT(page, HasSubstr(file.json["machine"]["date"].get<std::string>()));
    for (const auto& row : file.json["rows"])
      EXPECT_THAT(page, HasSubstr("<th scope=\"row\">" + row["workload"].get<std::string>() + "</th>"));
    rows += file.json["rows"].size();
  }
  EXPECT_EQ(count(page, "<th scope=\"row\">"), rows);
  EXPECT_EQ(specs(page).size(), 4U);  // two of the GPU, one of each file of the CPU
}

TEST_F(Page, FetchesNothing) {
  const std::string page = results_page({folder_.read("a.json", testing::cuda_bench_sample()),
                                         folder_.read("b.json", testing::cpu_bench_sample()),
                                         folder_.read("c.json", testing::replay_sample())});
  EXPECT_THAT(page, HasSubstr("content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"));
  EXPECT_FALSE(std::regex_search(page, std::regex("(src|href)\\s*=\\s*[\"']?\\s*(https?:|//)", std::regex::icase)));
  for (const char* part : {"<script src", "<link", "<img", "<iframe", "@import", "sourceMappingURL"})
    EXPECT_EQ(page.find(part), std::string::npos) << part;
  EXPECT_EQ(page.substr(0, page.find("vegaModules")).find("url("), std::string::npos);
  for (const nlohmann::json& spec : specs(page))
    for (const nlohmann::json& data : spec["data"]) EXPECT_FALSE(data.contains("url"));
}

TEST_F(Page, TakesHostileNamesForText) {
  const std::string hostile = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)><!-- &amp;";
  for (const nlohmann::json& good :
       {testing::cuda_bench_sample(), testing::cpu_bench_sample(), testing::replay_sample()}) {
    nlohmann::json bad = good;
    for (const char* member : {"workload", "route", "dtype"}) bad["rows"][0][member] = hostile + member;
    if (bad["rows"][0].contains("simd")) bad["rows"][0]["simd"] = hostile;
    for (const char* member : {"cpu", "version", "commit", "date", "system", "compiler"})
      bad["machine"][member] = hostile;
    for (const char* member : {"method", "backend", "cache_state", "clock"}) bad[member] = hostile;
    bad["machine"]["gpu"] = {{"name", hostile}};
    const std::string page = results_page({folder_.read("<img src=x>.json", bad)});
    const std::string harmless = results_page({folder_.read("a.json", good)});
    EXPECT_EQ(count(page, "<script"), count(harmless, "<script"));
    EXPECT_EQ(count(page, "</script"), count(harmless, "</script"));
    EXPECT_EQ(count(page, "<!--"), count(harmless, "<!--"));
    EXPECT_EQ(page.find("<img"), std::string::npos);
    EXPECT_THAT(page, HasSubstr("&lt;img src=x onerror=alert(2)&gt;"));
    EXPECT_THAT(specs(page).front()["data"][0]["values"].dump(), HasSubstr("</script><script>alert(1)</script>"));
  }
}

TEST_F(Page, OfTheGpuSaysWhatWasMeasured) {
  const std::string page = results_page({folder_.read("a.json", testing::cuda_bench_sample())});
  EXPECT_THAT(page, HasSubstr("a GPU, 132 SMs"));
  EXPECT_THAT(page, HasSubstr("graph replay"));
  EXPECT_THAT(page, HasSubstr("<td class=\"number\" data-value=\"1.25\">1.250</td>"));
  const std::vector<nlohmann::json> plots = specs(page);
  ASSERT_EQ(plots.size(), 2U);
  for (const nlohmann::json& plot : plots) {
    const nlohmann::json& point = plot["data"][0]["values"][0];
    EXPECT_EQ(point["group"], 4);
    EXPECT_EQ(point["chained"], "chained");
    EXPECT_EQ(point["kv_mib"], 32.0);
    EXPECT_EQ(point["over_us"], 2.5);
  }
}

TEST_F(Page, OfAReplayHasRatesAndShareOfTheLimit) {
  nlohmann::json json = testing::replay_sample();
  const std::vector<nlohmann::json> plots = specs(results_page({folder_.read("a.json", json)}));
  ASSERT_EQ(plots.size(), 3U);
  const nlohmann::json time = plots[0]["data"][0]["values"][0];
  EXPECT_EQ(time, (nlohmann::json{{"label", "stream"}, {"mean", 50.0}, {"p50", 49.0}, {"p95", 57.0}, {"p99", 58.0}}));
  EXPECT_EQ(plots[0]["signals"][0]["value"], "us");
  const nlohmann::json rate = plots[1]["data"][0]["values"][0];
  EXPECT_DOUBLE_EQ(rate["value"], 800.0);
  EXPECT_DOUBLE_EQ(rate["limit"], 1000.0);
  EXPECT_EQ(rate["note"], "800.0, 80% of limit");
  EXPECT_DOUBLE_EQ(plots[2]["data"][0]["values"][0]["value"], 150000.0);

  json["rows"][0]["time_us"] = 50000.0;
  json["rows"][0]["limit_us"] = 0;  // not measured
  const std::vector<nlohmann::json> slow = specs(results_page({folder_.read("a.json", json)}));
  EXPECT_EQ(slow[0]["signals"][0]["value"], "ms");
  EXPECT_DOUBLE_EQ(slow[0]["data"][0]["values"][0]["mean"], 50.0);
  EXPECT_FALSE(slow[1]["data"][0]["values"][0].contains("limit"));
}

TEST_F(Page, OfTheCpuHasDecodeBesideItsReaders) {
  const std::string page = results_page({folder_.read("a.json", testing::cpu_bench_sample())});
  EXPECT_THAT(page, HasSubstr("<td class=\"number\" data-value=\"0.75\">0.75</td>"));
  EXPECT_EQ(specs(page)[0]["data"][0]["values"].size(), 4U);
}

TEST(PageWithoutVega, SaysWhatToDo) {
  if (!vega_modules().empty()) GTEST_SKIP() << "this build has Vega";
  try {
    (void)results_page({});
    FAIL();
  } catch (const Unsupported& error) {
    EXPECT_THAT(error.what(), HasSubstr("install libjs-vega, and build again"));
  }
}

}  // namespace
}  // namespace pkv::report
