// From stamps to CTAs and tasks.

#include "timeline/step_timeline.hpp"

#include "persistentkv/core/error.hpp"
#include "support/thrown.hpp"
#include "synthetic_run.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace pkv::timeline {
namespace {

using ::testing::HasSubstr;

constexpr double kClose = 0.005;  // us: clocks tick every 0.9 ns at most, and pairs are in whole ns

TEST(StepTimeline, ACtaIsThereWhenItsLastWarpIs) {
  testing::SyntheticRun made(2);
  made.warp(7, 0, 1, 3.0, 10.0, 4, 2);
  made.warp(7, 1, 1, 3.25, 9.0, 5, 0);
  made.warp(2, 0, 0, 1.0, 6.0, 0, 0);
  const StepTimeline t = make_timeline(made.run);
  EXPECT_NEAR(t.duration_us, 10.5, kClose);  // from 1.0
  EXPECT_EQ(t.launches, 1);
  ASSERT_EQ(t.ctas.size(), 2U);
  EXPECT_EQ(t.ctas[0].cta, 2);
  const CtaTimes& cta = t.ctas[1];
  EXPECT_EQ(cta.sm, 1);
  EXPECT_NEAR(cta.start_us, 2.0, kClose);
  EXPECT_NEAR(*cta.planned_us, 3.25, kClose);
  EXPECT_NEAR(*cta.first_data_us, 4.0, kClose);
  EXPECT_NEAR(*cta.all_data_us, 4.25, kClose);
  EXPECT_NEAR(*cta.last_segment_us, 9.0, kClose);
  EXPECT_NEAR(*cta.arrived_us, 9.5, kClose);
  EXPECT_NEAR(*cta.joined_us, 10.0, kClose);
  EXPECT_FALSE(cta.merged_us);
  EXPECT_NEAR(cta.exit_us, 10.5, kClose);
  ASSERT_EQ(t.tasks.size(), 3U);
  EXPECT_EQ(t.tasks[1].row, 4);
  EXPECT_EQ(t.tasks[1].kv_head, 2);
  EXPECT_EQ(t.tasks[1].token_end, 128);
  EXPECT_NEAR(t.tasks[1].begin_us, 4.0, kClose);
  EXPECT_NEAR(t.tasks[1].end_us, 9.0, kClose);
}

TEST(StepTimeline, ASegmentBeginsWhereTheOneBeforeItEnds) {
  testing::SyntheticRun made(1);
  made.stamp(Event::kStart, 0, 0, 0, 0.0);
  made.stamp(Event::kFirstData, 0, 0, 0, 2.0);
  made.segment(0, 0, 0, 3.0, 0, 0, 0, 64);
  made.segment(0, 0, 0, 5.0, 0, 1, 0, 64);
  made.stamp(Event::kJoined, 0, 0, 0, 6.0);
  made.stamp(Event::kFirstData, 0, 0, 0, 7.0);  // the next item of its list
  made.segment(0, 0, 0, 9.0, 1, 0, 0, 64);
  made.stamp(Event::kExit, 0, 0, 0, 9.5);
  const StepTimeline t = make_timeline(made.run);
  ASSERT_EQ(t.tasks.size(), 3U);
  const double begins[] = {2.0, 3.0, 7.0};
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(t.tasks[i].begin_us, begins[i], kClose);
  EXPECT_NEAR(*t.ctas[0].all_data_us, 2.0, kClose);  // of its first item
}

TEST(StepTimeline, LaunchesFollowOneAnotherOnOneClock) {
  testing::SyntheticRun made(4);
  made.warp(0, 0, 3, 0.0, 8.0, 0, 0);
  made.stamp(Event::kStart, 0, 0, 2, 11.0, 1);
  made.stamp(Event::kExit, 0, 0, 2, 13.0, 1);
  const StepTimeline t = make_timeline(made.run);
  EXPECT_EQ(t.launches, 2);
  ASSERT_EQ(t.ctas.size(), 2U);
  EXPECT_NEAR(t.ctas[1].start_us, 11.0, kClose);
  EXPECT_FALSE(t.ctas[1].planned_us);
  EXPECT_NEAR(t.duration_us, 13.0, kClose);
}

TEST(StepTimeline, OrderOfWarpsDoesNotMatter) {
  std::mt19937 random(std::random_device{}());
  testing::SyntheticRun made(8, random());
  std::vector<int> ctas(40);
  for (int i = 0; i < 40; ++i) ctas[static_cast<std::size_t>(i)] = i;
  std::shuffle(ctas.begin(), ctas.end(), random);
  std::uniform_real_distribution<double> us(0.0, 30.0);
  for (const int cta : ctas) {
    const double start = us(random);
    for (int warp = 0; warp < 3; ++warp) made.warp(cta, warp, cta % 8, start, start + 3 + warp, cta, warp);
  }
  const StepTimeline t = make_timeline(made.run);
  ASSERT_EQ(t.ctas.size(), 40U);
  ASSERT_EQ(t.tasks.size(), 120U);
  for (int cta = 0; cta < 40; ++cta) EXPECT_EQ(t.ctas[static_cast<std::size_t>(cta)].cta, cta);
  for (const Task& task : t.tasks) EXPECT_EQ(task.sm, task.cta % 8);
  double first = 1e9;
  for (const CtaTimes& cta : t.ctas) first = std::min(first, cta.start_us);
  EXPECT_NEAR(first, 0.0, kClose);
}

TEST(StepTimeline, WithoutAStartOrAnExitIsRefused) {
  const auto refusal = [](const StampedRun& run) {
    return testing_support::thrown_by<InvalidArgument>([&] { (void)make_timeline(run); });
  };
  EXPECT_THAT(refusal({}), HasSubstr("no stamps"));
  testing::SyntheticRun made(1);
  made.warp(5, 2, 0, 0.0, 4.0, 0, 0);
  StampedRun headless = made.run;
  headless.stamps.pop_back();
  headless.dropped = 9;
  EXPECT_THAT(refusal(headless), HasSubstr("launch 0, CTA 5, warp 2 has 6 stamps and no start or no exit"));
  EXPECT_THAT(refusal(headless), HasSubstr("9 were dropped"));
  StampedRun elsewhere = made.run;
  elsewhere.stamps[3].sm = 12;
  EXPECT_THAT(refusal(elsewhere), HasSubstr("SM 12 has stamps, but no clock pairs"));
}

}  // namespace
}  // namespace pkv::timeline
