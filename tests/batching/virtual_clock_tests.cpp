#include "persistentkv/batching/virtual_clock.hpp"

#include "persistentkv/core/error.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace pkv {
namespace {

TEST(VirtualClock, MicrosecondsPassAsStepsTakeThem) {
  VirtualClock clock(ArrivalUnit::kMicroseconds);
  clock.advance(10.5);
  EXPECT_TRUE(clock.reached(10));
  EXPECT_FALSE(clock.reached(11));
  clock.jump_to(5);
  EXPECT_EQ(clock.now_us(), 10.5) << "never back";
  clock.jump_to(100);
  EXPECT_EQ(clock.now_us(), 100.0);
  EXPECT_EQ(clock.reached_at_us(42), 42.0);
}

TEST(VirtualClock, StepsAreCountedAndTimed) {
  VirtualClock clock(ArrivalUnit::kSteps);
  for (const double step_us : {1.0, 2.0, 4.0, 8.0}) clock.advance(step_us);
  EXPECT_TRUE(clock.reached(4));
  EXPECT_FALSE(clock.reached(5));
  for (std::int64_t step = 0; step <= 4; ++step) EXPECT_EQ(clock.reached_at_us(step), (1 << step) - 1.0);
  clock.forget_before(3);
  EXPECT_EQ(clock.reached_at_us(3), 7.0);
  EXPECT_EQ(clock.reached_at_us(4), 15.0);
  clock.forget_before(kMaxArrival);
  EXPECT_EQ(clock.reached_at_us(4), 15.0) << "the present is never forgotten";
  clock.advance(1.0);
  EXPECT_EQ(clock.reached_at_us(5), 16.0);
}

TEST(VirtualClock, IdleStepsTakeNoTime) {
  VirtualClock clock(ArrivalUnit::kSteps);
  clock.advance(3.0);
  clock.jump_to(1000);
  EXPECT_TRUE(clock.reached(1000));
  EXPECT_FALSE(clock.reached(1001));
  EXPECT_EQ(clock.reached_at_us(1000), 3.0);
  clock.advance(2.0);
  EXPECT_EQ(clock.reached_at_us(1001), 5.0);
}

TEST(VirtualClock, StepsLastAFiniteTime) {
  VirtualClock clock(ArrivalUnit::kSteps);
  for (const double step_us : {-1.0, std::nan(""), std::numeric_limits<double>::infinity()})
    EXPECT_THROW(clock.advance(step_us), InvalidArgument);
  EXPECT_FALSE(clock.reached(1));
}

}  // namespace
}  // namespace pkv
