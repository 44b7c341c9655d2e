// A step in a few numbers.

#include "timeline/phases.hpp"

#include "synthetic_run.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace pkv::timeline {
namespace {

const Phase& phase(const std::vector<Phase>& all, std::string_view name) {
  return *std::find_if(all.begin(), all.end(), [&](const Phase& p) { return p.name == name; });
}

TEST(Phases, AreThoseThatSomebodyGotTo) {
  testing::SyntheticRun made(3);
  for (int cta = 0; cta < 3; ++cta) made.warp(cta, 0, cta, cta, 10.0 + cta * cta, cta, 0);
  const std::vector<Phase> all = phases(make_timeline(made.run));
  ASSERT_EQ(all.size(), 8U);  // nobody merged
  EXPECT_EQ(all.front().name, "start");
  EXPECT_EQ(all.back().name, "exit");
  const Phase& last = phase(all, "last segment done");
  EXPECT_EQ(last.ctas, 3);
  EXPECT_NEAR(last.min_us, 10.0, 0.01);
  EXPECT_NEAR(last.median_us, 11.0, 0.01);
  EXPECT_NEAR(last.max_us, 14.0, 0.01);
  EXPECT_EQ(last.last_sm, 2);
  for (const Phase& p : all) EXPECT_TRUE(p.min_us <= p.median_us && p.median_us <= p.max_us) << p.name;
}

TEST(SmShares, AreOfTheSmsAndNotOfTheCtas) {
  testing::SyntheticRun made(4);
  made.warp(0, 0, 0, 0.0, 8.5, 0, 0);                          // reads from 1 to 8.5
  made.warp(1, 0, 0, 2.0, 5.0, 1, 0);                          // at the same time
  made.warp(2, 0, 1, 0.0, 2.0, 2, 0);                          // from 1 to 2
  made.warp(3, 0, 1, 4.0, 7.0, 3, 0);                          // from 5 to 7
  const SmShares shares = sm_shares(make_timeline(made.run));  // 10 us of 4 SMs
  EXPECT_NEAR(shares.before, 2.0 / 40, 1e-3);
  EXPECT_NEAR(shares.in_flight, (7.5 + 1.0 + 2.0) / 40, 1e-3);
  EXPECT_NEAR(shares.between, 3.0 / 40, 1e-3);
  EXPECT_NEAR(shares.after, (1.5 + 3.0) / 40, 1e-3);
  EXPECT_NEAR(shares.unused, 0.5, 1e-9);
}

TEST(SmShares, AddUpToOne) {
  std::mt19937 random(std::random_device{}());
  for (int round = 0; round < 50; ++round) {
    testing::SyntheticRun made(6, random());
    std::uniform_real_distribution<double> us(0.0, 20.0);
    for (int cta = 0; cta < 30; ++cta) {
      const double start = us(random);
      made.warp(cta, 0, static_cast<int>(random() % 6), start, start + 2.0 + us(random), 0, 0);
    }
    const SmShares s = sm_shares(make_timeline(made.run));
    EXPECT_NEAR(s.before + s.in_flight + s.between + s.after + s.unused, 1.0, 1e-9);
    for (const double share : {s.before, s.in_flight, s.between, s.after, s.unused}) EXPECT_GE(share, -1e-9);
  }
}

TEST(ReadingSms, HaveTheAreaOfTheirShare) {
  std::mt19937 random(std::random_device{}());
  for (int round = 0; round < 20; ++round) {
    testing::SyntheticRun made(6, random());
    std::uniform_real_distribution<double> us(0.0, 20.0);
    for (int cta = 0; cta < 30; ++cta) {
      const double start = us(random);
      made.warp(cta, 0, static_cast<int>(random() % 6), start, start + 2.0 + us(random), 0, 0);
    }
    const StepTimeline t = make_timeline(made.run);
    const std::vector<ReadingSms> steps = reading_sms(t);
    EXPECT_EQ(steps.front().us, 0.0);
    EXPECT_EQ(steps.back().us, t.duration_us);
    EXPECT_EQ(steps.back().sms, 0);
    double area = 0.0;
    for (std::size_t i = 0; i + 1 < steps.size(); ++i) {
      EXPECT_TRUE(steps[i].sms >= 0 && steps[i].sms <= 6);
      area += steps[i].sms * (steps[i + 1].us - steps[i].us);
    }
    EXPECT_NEAR(area / (6 * t.duration_us), sm_shares(t).in_flight, 1e-9);
  }
}

}  // namespace
}  // namespace pkv::timeline
