// Lanes and bars.

#include "timeline/layout.hpp"

#include "synthetic_run.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace pkv::timeline {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

bool overlap(const Bar& a, const Bar& b) {
  constexpr double kTouch = 1e-9;
  return a.begin_us + kTouch < b.end_us && b.begin_us + kTouch < a.end_us && a.top + kTouch < b.bottom &&
         b.top + kTouch < a.bottom;
}

TEST(Layout, SmsThatStopLastAreAtTheBottom) {
  testing::SyntheticRun made(4);
  made.warp(0, 0, 2, 0.0, 20.0, 0, 0);
  made.warp(1, 0, 0, 0.0, 30.0, 1, 0);
  made.warp(2, 0, 3, 0.0, 10.0, 2, 0);
  const Layout layout = lay_out(make_timeline(made.run));
  EXPECT_THAT(layout.sm_of_lane, ElementsAre(1, 3, 2, 0));
  for (const Bar& bar : layout.bars) {
    if (bar.kind != Bar::Kind::kTask || bar.row != 1) continue;
    EXPECT_DOUBLE_EQ(bar.top, 3.0);
    EXPECT_DOUBLE_EQ(bar.bottom, 4.0);
    EXPECT_THAT(bar.text, HasSubstr("SM 0, CTA 1, warp 0: row 1, KV head 0, tokens [0, 128)"));
  }
}

TEST(Layout, ALaunchThatOnlyMergesIsDark) {
  testing::SyntheticRun made(1);
  made.warp(0, 0, 0, 0.0, 8.0, 0, 0);
  made.stamp(Event::kStart, 0, 0, 0, 11.0, 1);
  made.stamp(Event::kExit, 0, 0, 0, 13.0, 1);
  const Bar last = lay_out(make_timeline(made.run)).bars.back();
  EXPECT_EQ(last.kind, Bar::Kind::kJoin);
  EXPECT_NEAR(last.begin_us, 11.0, 0.01);
  EXPECT_NEAR(last.end_us, 13.0, 0.01);
}

TEST(Layout, NoTaskHidesAnother) {
  std::mt19937 random(std::random_device{}());
  for (int round = 0; round < 20; ++round) {
    testing::SyntheticRun made(3, random());
    std::uniform_real_distribution<double> us(0.0, 20.0);
    for (int cta = 0; cta < 12; ++cta) {
      const int sm = static_cast<int>(random() % 3);
      const double start = us(random);
      for (int warp = 0; warp < 4; ++warp) made.warp(cta, warp, sm, start, start + 2.5 + us(random), cta, warp);
    }
    const Layout layout = lay_out(make_timeline(made.run));
    std::vector<Bar> tasks;
    for (const Bar& bar : layout.bars) {
      EXPECT_GE(bar.top, 0.0);
      EXPECT_LE(bar.bottom, 3.0 + 1e-9);
      if (bar.kind == Bar::Kind::kTask) tasks.push_back(bar);
    }
    ASSERT_EQ(tasks.size(), 48U);
    for (std::size_t a = 0; a < tasks.size(); ++a)
      for (std::size_t b = 0; b < a; ++b) ASSERT_FALSE(overlap(tasks[a], tasks[b])) << tasks[a].text << tasks[b].text;
  }
}

}  // namespace
}  // namespace pkv::timeline
