// Clocks that run at different speeds from different instants are brought to one time.

#include "timeline/sm_clocks.hpp"

#include "persistentkv/core/error.hpp"
#include "support/thrown.hpp"
#include "synthetic_run.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pkv::timeline {
namespace {

using ::testing::HasSubstr;

TEST(SmClocks, TellTheSameTimeOnEverySm) {
  testing::SyntheticRun made(132, std::random_device{}());
  for (int sm = 0; sm < 132; ++sm)
    for (const double us : {0.0, 12.345}) made.stamp(Event::kStart, sm, 0, sm, us);
  const SmClocks clocks(made.run.clocks);
  EXPECT_LT(clocks.max_error_ns(), 2.0);
  const double zero = clocks.ns(made.run.stamps[0].sm, made.run.stamps[0].clock);
  for (const Stamp& stamp : made.run.stamps) {
    const bool second = (&stamp - made.run.stamps.data()) % 2 == 1;
    EXPECT_NEAR(clocks.ns(stamp.sm, stamp.clock) - zero, second ? 12345.0 : 0.0, 3.0) << "SM " << stamp.sm;
  }
}

TEST(SmClocks, TellHowFarTheyAreOff) {
  testing::SyntheticRun made(2);
  made.run.clocks[1].ns += 500;
  const SmClocks clocks(made.run.clocks);
  EXPECT_GT(clocks.max_error_ns(), 100.0);
  EXPECT_LE(clocks.max_error_ns(), 500.0);
}

TEST(SmClocks, RefuseWhatTellsNoTime) {
  const auto refusal = [](const std::vector<ClockPair>& pairs) {
    return testing_support::thrown_by<InvalidArgument>([&] { const SmClocks clocks(pairs); });
  };
  EXPECT_THAT(refusal({{3, 100, 5}}), HasSubstr("clock pairs of SM 3 are 1, must be at least two"));
  EXPECT_THAT(refusal({{3, 100, 5}, {3, 100, 9}}), HasSubstr("SM 3"));
  EXPECT_THAT(refusal({{3, 100, 9}, {3, 200, 5}}), HasSubstr("a clock that runs"));
  const SmClocks clocks({{3, 100, 5}, {3, 200, 105}});
  EXPECT_THAT(testing_support::thrown_by<InvalidArgument>([&] { (void)clocks.ns(4, 100); }),
              HasSubstr("SM 4 has stamps, but no clock pairs"));
}

}  // namespace
}  // namespace pkv::timeline
