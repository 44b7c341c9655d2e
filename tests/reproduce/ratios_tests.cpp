#include "reproduce/ratios.hpp"

#include "persistentkv/trace/paper_runs.hpp"
#include "reproduce/published.hpp"
#include "reproduce/sections.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>
#include <vector>

namespace pkv::reproduce {
namespace {

RouteTimes times_of(Route route, double us) {
  RouteTimes times{.spec = {route, 0}};
  times.fair = {us, us + 1, 0.0};
  times.paper = {us + 2, us + 3, 0.0};
  return times;
}

TraceTimes trace_of(double ours, double cuda_core, double tensor_core) {
  TraceTimes trace;
  trace.routes = {times_of(Route::kStream, ours), times_of(Route::kPolicy, 0.5 * ours),
                  times_of(Route::kFlashInferCudaCore, cuda_core), times_of(Route::kFlashInferTensorCore, tensor_core)};
  return trace;
}

TEST(Statistics, AreOfASample) {
  const std::vector<double> values{2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0};
  EXPECT_DOUBLE_EQ(mean_std(values).mean, 5.0);
  EXPECT_DOUBLE_EQ(mean_std(values).std, std::sqrt(32.0 / 7.0));
  EXPECT_DOUBLE_EQ(mean_std(std::vector{3.0}).mean, 3.0);
  EXPECT_DOUBLE_EQ(mean_std(std::vector{3.0}).std, 0.0);
  EXPECT_DOUBLE_EQ(mean_std({}).mean, 0.0);
  EXPECT_DOUBLE_EQ(median(std::vector{9.0, 1.0, 5.0}), 5.0);
  EXPECT_DOUBLE_EQ(median(std::vector{9.0, 1.0, 5.0, 7.0}), 5.0);
  EXPECT_DOUBLE_EQ(median({}), 0.0);
}

TEST(Ratio, IsABaselineOverARoute) {
  const TraceTimes trace = trace_of(100.0, 150.0, 120.0);
  const RouteTimes& ours = trace.routes[0];
  EXPECT_DOUBLE_EQ(*ratio(trace, ours, Clock::kFairEvent, Base::kCudaCore), 1.5);
  EXPECT_DOUBLE_EQ(*ratio(trace, ours, Clock::kFairEvent, Base::kTensorCore), 1.2);
  EXPECT_DOUBLE_EQ(*ratio(trace, ours, Clock::kFairEvent, Base::kBetter), 1.2);
  EXPECT_DOUBLE_EQ(*ratio(trace, ours, Clock::kFairWall, Base::kTensorCore), 121.0 / 101.0);
  EXPECT_DOUBLE_EQ(*ratio(trace, ours, Clock::kPaperEvent, Base::kTensorCore), 122.0 / 102.0);
  EXPECT_DOUBLE_EQ(*ratio(trace, ours, Clock::kPaperWall, Base::kTensorCore), 123.0 / 103.0);
}

TEST(Ratio, TakesTheBetterOfTheTwoPathsWhicheverItIs) {
  const TraceTimes trace = trace_of(100.0, 110.0, 120.0);
  EXPECT_DOUBLE_EQ(*ratio(trace, trace.routes[0], Clock::kFairEvent, Base::kBetter), 1.1);
}

TEST(Ratio, OfTheBestSingleRouteLeavesThePolicyOut) {
  const TraceTimes trace = trace_of(100.0, 150.0, 120.0);
  EXPECT_DOUBLE_EQ(*ratio(trace, trace.routes[0], Clock::kFairEvent, Base::kBestSingle), 1.0);
  EXPECT_DOUBLE_EQ(*ratio(trace, trace.routes[1], Clock::kFairEvent, Base::kBestSingle), 2.0);
}

TEST(Ratio, OfWhatDidNotRunIsNothing) {
  TraceTimes trace = trace_of(100.0, 150.0, 120.0);
  trace.routes[3].why_not = "is absent";
  EXPECT_FALSE(ratio(trace, trace.routes[0], Clock::kFairEvent, Base::kTensorCore));
  EXPECT_DOUBLE_EQ(*ratio(trace, trace.routes[0], Clock::kFairEvent, Base::kBetter), 1.5);
  EXPECT_FALSE(ratio(trace, trace.routes[3], Clock::kFairEvent, Base::kCudaCore));
  trace.routes[2].why_not = "is absent";
  EXPECT_FALSE(ratio(trace, trace.routes[0], Clock::kFairEvent, Base::kBetter));
}

TEST(Ratio, OverSeedsIsTheMeanOfRatios) {
  const std::vector<TraceTimes> traces{trace_of(100.0, 110.0, 200.0), trace_of(100.0, 200.0, 130.0)};
  const auto better = ratio_over(traces, 0, Clock::kFairEvent, Base::kBetter);
  EXPECT_DOUBLE_EQ(better->mean, 1.2);
  EXPECT_NEAR(better->std, std::sqrt(0.02), 1e-12);
}

TEST(Published, AreTheRowsOfThePaperEachOnce) {
  std::set<std::string> seen;
  for (const PublishedRatio& p : published_ratios()) {
    EXPECT_TRUE(seen.insert(std::string(p.section) + std::string(p.workload) + label(p.route)).second) << p.workload;
    EXPECT_GE(p.event, 1.0);
    EXPECT_GE(p.wall, 1.0);
    EXPECT_EQ(find_published(p.section, p.workload, p.route), &p);
  }
  for (const MainRow& row : main_rows()) {
    EXPECT_NE(find_published("main", row.run, row.paper_route), nullptr) << row.run;
    EXPECT_NO_THROW((void)find_paper_run(row.run));
  }
  EXPECT_EQ(find_published("main", "bimodal-b8", {Route::kStream, 0}), nullptr);
}

TEST(Windows, OfThePaperLetFlashInferPlanAndGatherInside) {
  for (const Route route : kRunnableRoutes) {
    const Window window = as_the_paper_timed(route);
    EXPECT_EQ(window.planned_inside, is_flashinfer(route)) << to_string(route);
    EXPECT_EQ(window.rows, is_flashinfer(route) ? RowAccess::kGathered : RowAccess::kByIds) << to_string(route);
    EXPECT_FALSE(window.queued);
  }
}

}  // namespace
}  // namespace pkv::reproduce
