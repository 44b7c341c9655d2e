// Timelines as JSON and as a picture.

#include "persistentkv/core/error.hpp"
#include "report/svg_style.hpp"
#include "report/timeline_json.hpp"
#include "report/timeline_svg.hpp"
#include "support/thrown.hpp"
#include "timeline/synthetic_run.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace pkv::report {
namespace {

using ::testing::HasSubstr;

timeline::StepTimeline random_timeline() {
  std::mt19937 random(std::random_device{}());
  timeline::testing::SyntheticRun made(5, random());
  std::uniform_real_distribution<double> us(0.0, 20.0);
  for (int cta = 0; cta < 12; ++cta) {
    const double start = us(random);
    for (int warp = 0; warp < 2; ++warp) made.warp(cta, warp, cta % 5, start, start + 3.0 + us(random), cta, warp);
  }
  made.stamp(timeline::Event::kStart, 0, 0, 1, 50.0, 1);
  made.stamp(timeline::Event::kExit, 0, 0, 1, 52.0, 1);
  return make_timeline(made.run);
}

TEST(TimelineJson, ReadsWhatItWrote) {
  const timeline::StepTimeline t = random_timeline();
  const nlohmann::json json = nlohmann::json::parse(timeline_json(t).dump());
  const timeline::StepTimeline back = timeline_from_json(json);
  EXPECT_EQ(back.num_sms, 5);
  EXPECT_EQ(back.launches, 2);
  EXPECT_NEAR(back.duration_us, t.duration_us, 6e-4);
  ASSERT_EQ(back.ctas.size(), t.ctas.size());
  ASSERT_EQ(back.tasks.size(), t.tasks.size());
  for (std::size_t i = 0; i < t.ctas.size(); ++i) {
    EXPECT_EQ(back.ctas[i].sm, t.ctas[i].sm);
    EXPECT_EQ(back.ctas[i].planned_us.has_value(), t.ctas[i].planned_us.has_value());
    EXPECT_NEAR(back.ctas[i].exit_us, t.ctas[i].exit_us, 6e-4);
  }
  for (std::size_t i = 0; i < t.tasks.size(); ++i) {
    EXPECT_EQ(back.tasks[i].row, t.tasks[i].row);
    EXPECT_NEAR(back.tasks[i].begin_us, t.tasks[i].begin_us, 6e-4);
  }
  EXPECT_EQ(nlohmann::json::parse(timeline_json(back).dump())["tasks"], json["tasks"]);
  EXPECT_EQ(json["cta_columns"].size(), json["ctas"][0].size());
  EXPECT_EQ(json["task_columns"].size(), json["tasks"][0].size());
  double sum = 0.0;
  for (const auto& [name, share] : json["sm_shares"].items()) sum += share.get<double>();
  EXPECT_NEAR(sum, 1.0, 1e-9);
}

TEST(TimelineJson, RefusesWhatIsNone) {
  const auto refusal = [](const nlohmann::json& json) {
    return testing_support::thrown_by<InvalidArgument>([&] { (void)timeline_from_json(json); });
  };
  EXPECT_THAT(refusal(3), HasSubstr("timeline is 3, must be an object"));
  nlohmann::json json = nlohmann::json::parse(timeline_json(random_timeline()).dump());
  json["ctas"][0][0] = 5000;
  EXPECT_THAT(refusal(json), HasSubstr("timeline.ctas[0][0] is 5000, must be below 1024"));
  json["ctas"] = "x";
  EXPECT_THAT(refusal(json), HasSubstr("timeline.ctas is \"x\", must be a list of lists"));
}

TEST(TimelineSvg, HasAPanelForEachStepOnOneAxis) {
  const timeline::StepTimeline t = random_timeline();
  const std::string svg = step_timeline_svg({{"stream <b>", &t}, {"workqueue", &t}});
  EXPECT_THAT(svg, HasSubstr("stream &lt;b&gt;"));
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(svg.find("inf"), std::string::npos);
  std::size_t tasks = 0;
  for (std::size_t at = svg.find(", warp "); at != std::string::npos; at = svg.find(", warp ", at + 1)) ++tasks;
  EXPECT_EQ(tasks, 2 * t.tasks.size());
  EXPECT_THAT(step_timeline_svg({}), HasSubstr("</svg>"));
}

TEST(TickStep, LeavesAtMostTenTicks) {
  std::mt19937 random(std::random_device{}());
  std::uniform_real_distribution<double> exponent(-4.0, 9.0);
  for (int i = 0; i < 1000; ++i) {
    const double range = std::pow(10.0, exponent(random));
    EXPECT_LE(range / tick_step(range), 10.0 + 1e-9);
    EXPECT_GT(range / tick_step(range), 3.0);
  }
}

}  // namespace
}  // namespace pkv::report
