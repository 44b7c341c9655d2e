// What sections make of given times.

#include "fake_bench.hpp"
#include "reproduce/reproduce.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pkv::reproduce::testing {
namespace {

using nlohmann::ordered_json;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

struct SectionRun {
  Output output;
  std::string text;

  SectionRun(Bench& bench, const std::string& section, bool quick = true) {
    output.results = {{"rows", ordered_json::array()}};
    output.print = [&](const std::string& table) { text += table; };
    reproduce({.only = {section}, .quick = quick, .repeats = 1}, bench, output);
  }
  [[nodiscard]] const ordered_json& rows() const { return output.results["rows"]; }
  [[nodiscard]] ordered_json find(const std::string& workload, const std::string& route) const {
    for (const ordered_json& row : rows())
      if (row["workload"] == workload && row["route"] == route) return row;
    return {};
  }
};

void expect_required_members(const ordered_json& rows) {
  ASSERT_FALSE(rows.empty());
  for (const ordered_json& row : rows) {
    for (const char* member : {"section", "workload", "route", "dtype"})
      EXPECT_TRUE(row[member].is_string()) << member << row;
    for (const char* member : {"num_q_heads", "num_kv_heads", "head_dim", "page_size", "batch", "kv_bytes", "time_us",
                               "limit_us", "plan_us"})
      EXPECT_GT(row.value(member, 0.0), 0.0) << member << row;
  }
}

TEST(MainTable, HasEveryTraceAndRouteInBothWindows) {
  FakeBench bench;
  const SectionRun run(bench, "main");
  expect_required_members(run.rows());
  EXPECT_THAT(run.rows(), SizeIs(4 * 5 + 4));  // bimodal-b4's route of the paper is FlashInfer
  EXPECT_THAT(run.output.problems, IsEmpty());
  const ordered_json stream = run.find("bimodal-b8", "stream");
  EXPECT_EQ(stream["time_us"], 100.0);
  EXPECT_EQ(stream["fair_event_us"], 102.0);
  EXPECT_EQ(stream["fair_wall_us"], 112.0);
  EXPECT_EQ(stream["paper_event_us"], 100.0);
  EXPECT_EQ(stream["limit_us"], 90.0);
  EXPECT_DOUBLE_EQ(stream["ratios"]["fair_event"]["cuda_core"], 160.0 / 102.0);
  EXPECT_DOUBLE_EQ(stream["ratios"]["fair_event"]["better"], 150.0 / 102.0);
  EXPECT_DOUBLE_EQ(stream["ratios"]["paper_event"]["tensor_core"], 155.0 / 100.0);
  EXPECT_DOUBLE_EQ(stream["ratios"]["fair_event"]["best_single"], 1.0);
  EXPECT_EQ(stream["error_vs_fp64"]["max"], 0.0);
  EXPECT_THAT(run.text, AllOf(HasSubstr("1.471 +- 0.037"), HasSubstr("1.068 +- 0.028"), HasSubstr("workqueue 28")));
}

TEST(MainTable, CountsWhatThePolicyTook) {
  FakeBench bench;
  bench.policy_takes = Route::kFlashInferTensorCore;
  const SectionRun run(bench, "main");
  const ordered_json policy = run.find("uniform-b8", "policy");
  EXPECT_EQ(policy["chosen_steps"], (ordered_json{{"flashinfer-tensor-core", policy["steps"]}}));
  EXPECT_EQ(policy["paper_event_us"], 155.0) << "timed as the route that it took";
}

TEST(MainTable, SummarisesOverTheSeeds) {
  FakeBench bench;
  const SectionRun run(bench, "main", false);
  EXPECT_THAT(run.rows(), SizeIs(5 * (4 * 5 + 4)));
  for (const ordered_json& entry : run.output.results["summary"]) {
    EXPECT_EQ(entry["seeds"], 5);
    if (entry["workload"] != "zipf-b8" || entry["route"] != "workqueue") continue;
    EXPECT_DOUBLE_EQ(entry["ratios"]["fair_event"]["tensor_core"]["mean"], 150.0 / 112.0);
    EXPECT_NEAR(entry["ratios"]["fair_event"]["tensor_core"]["std"], 0.0, 1e-12);
    EXPECT_EQ(entry["published"]["event"]["mean"], 1.105);
    EXPECT_EQ(entry["published"]["wall"]["std"], 0.028);
  }
}

TEST(MainTable, WithoutFlashInferHasNoRatios) {
  FakeBench bench;
  bench.absent = {Route::kFlashInferCudaCore, Route::kFlashInferTensorCore};
  const SectionRun run(bench, "main");
  expect_required_members(run.rows());
  const ordered_json stream = run.find("bimodal-b8", "stream");
  EXPECT_TRUE(stream["ratios"]["fair_event"]["better"].is_null());
  EXPECT_FALSE(stream["ratios"]["fair_event"]["best_single"].is_null());
  EXPECT_TRUE(stream["error_vs_flashinfer"].is_null());
  EXPECT_TRUE(run.find("bimodal-b8", "flashinfer-tensor-core").is_null());
}

TEST(MainTable, ErrorsOverTheGatesAreAProblem) {
  FakeBench bench;
  bench.wrong_by = 0.01F;
  const SectionRun run(bench, "main");
  EXPECT_THAT(run.output.problems, Contains(AllOf(HasSubstr("bimodal-b8 seed 20260623 by stream"),
                                                  HasSubstr("must be at most 0.002 and 0.0003"))));
}

TEST(Splits, StandBesideThePapers) {
  FakeBench bench;
  const SectionRun run(bench, "splits");
  expect_required_members(run.rows());
  EXPECT_THAT(run.text,
              AllOf(HasSubstr("sequence-split 28"), HasSubstr("1.606"), HasSubstr("workqueue 24"), HasSubstr("1.168")));
}

TEST(GqaSweep, GoesBeyondThePapersGroups) {
  FakeBench bench;
  const SectionRun run(bench, "gqa");
  expect_required_members(run.rows());
  for (const int group : {1, 2, 4, 8, 16})
    EXPECT_EQ(run.find("gqa-sweep G=" + std::to_string(group), "stream")["num_kv_heads"], 32 / group);
  EXPECT_THAT(run.text, HasSubstr("1.257"));
}

TEST(Isolated, ComparesLayersAlone) {
  FakeBench bench;
  const SectionRun run(bench, "isolated");
  expect_required_members(run.rows());
  EXPECT_DOUBLE_EQ(run.find("isolated-8192", "stream")["over_tensor_core"], 1.2);
  EXPECT_EQ(run.find("isolated-65536", "stream")["kv_bytes"], 65536 * 4096);
  EXPECT_THAT(run.text, AllOf(HasSubstr("119.4"), HasSubstr("1217.5")));
}

TEST(Ablations, AskEachQuestionOfEachWorkload) {
  FakeBench bench;
  const SectionRun run(bench, "ablations");
  expect_required_members(run.rows());
  EXPECT_THAT(run.rows(), SizeIs(3 * 10));
  for (const char* variant : {"eager", "graph", "two-launches", "one-launch", "gather-and-scatter", "by-ids"}) {
    EXPECT_TRUE(std::any_of(run.rows().begin(), run.rows().end(), [&](const ordered_json& row) {
      return row["variant"] == variant;
    })) << variant;
  }
}

TEST(MlpShare, IsAttentionsPartOfALayer) {
  FakeBench bench;
  const SectionRun run(bench, "mlp");
  expect_required_members(run.rows());
  const ordered_json stream = run.find("zipf-b8", "stream");
  const double layer = 100.0 + 1.0 + 95.0 + 2.0 / 32;
  EXPECT_DOUBLE_EQ(stream["layer_us"], layer);
  EXPECT_DOUBLE_EQ(stream["mlp_us"], 95.0);
  EXPECT_DOUBLE_EQ(stream["attention_share"], (layer - 95.0) / layer);
}

TEST(Reproduce, LeavesOutWhatCannotBeRun) {
  FakeBench bench;
  bench.has_cublas = false;
  const SectionRun run(bench, "mlp");
  EXPECT_THAT(run.output.results["skipped"]["mlp"].get<std::string>(), HasSubstr("cuBLAS"));
  EXPECT_THAT(run.text, HasSubstr("Section mlp is left out: cuBLAS was not found"));
}

TEST(Reproduce, RunsSectionsOfOthers) {
  FakeBench bench;
  Output output;
  std::string text;
  output.print = [&](const std::string& section) { text += section; };
  ReproduceOptions options{.only = {"more", "refused"}};
  options.more = {{"more", [](Output& to) { to.print("here it is"); }},
                  {"refused", [](Output&) { throw Unsupported("there is no profile"); }},
                  {"unwanted", [](Output& to) { to.print("unwanted"); }}};
  reproduce(options, bench, output);
  EXPECT_EQ(text, "here it isSection refused is left out: there is no profile\n");
  EXPECT_TRUE(output.results["section_seconds"].contains("more"));
  EXPECT_EQ(output.results["skipped"].size(), 1U);
}

TEST(Reproduce, NeedsAPoolForItsLargestSection) {
  EXPECT_EQ(kv_bytes_needed({.only = {"counters"}}), std::int64_t{49260} * 65536);
  EXPECT_EQ(kv_bytes_needed({.only = {"gqa"}}), std::int64_t{7585} * 4 * 65536);
  EXPECT_GE(kv_bytes_needed({}), kv_bytes_needed({.only = {"main"}}));
  EXPECT_THROW((void)kv_bytes_needed({.only = {"nope"}}), InvalidArgument);
  EXPECT_THROW((void)kv_bytes_needed({.repeats = 0}), InvalidArgument);
}

TEST(Reproduce, QuickIsShort) {
  FakeBench quick, full;
  const SectionRun a(quick, "splits"), b(full, "splits", false);
  EXPECT_LT(5 * quick.windows, full.windows);
}

}  // namespace
}  // namespace pkv::reproduce::testing
