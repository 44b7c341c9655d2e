#include "persistentkv/trace/step_sequence.hpp"

#include "persistentkv/core/error.hpp"
#include "persistentkv/core/step.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace pkv {
namespace {

/// The definition: every request looked at on every step.
std::vector<StepRows> by_definition(const std::vector<Request>& requests, std::int64_t max_active) {
  std::int64_t end = 0;
  for (const Request& r : requests) end = std::max(end, r.arrival + r.decode_tokens);
  std::vector<StepRows> steps;
  for (std::int64_t s = 0; s < end; ++s) {
    StepRows step{s, {}};
    for (std::size_t i = 0; i < requests.size(); ++i) {
      const std::int64_t age = s - requests[i].arrival;
      const bool candidate = age >= 0 && age < requests[i].decode_tokens;
      if (candidate && static_cast<std::int64_t>(step.rows.size()) < max_active)
        step.rows.push_back({static_cast<std::int64_t>(i), requests[i].prompt_tokens + age});
    }
    if (!step.rows.empty()) steps.push_back(step);
  }
  return steps;
}

TEST(StepSequence, MatchesTheDefinition) {
  for (int round = 0; round < 200; ++round) {
    const std::uint32_t seed = std::random_device{}();
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    std::vector<Request> requests(random() % 40);
    for (Request& r : requests) {
      r.prompt_tokens = 1 + random() % 100;
      r.decode_tokens = 1 + random() % 20;
      r.arrival = random() % 100;
    }
    const std::int64_t max_active = 1 + random() % 10;
    StepSequence sequence(requests, max_active);
    StepRows step;
    for (const StepRows& expected : by_definition(requests, max_active)) {
      ASSERT_TRUE(sequence.next(step));
      ASSERT_EQ(step.step, expected.step);
      ASSERT_EQ(step.rows, expected.rows);
    }
    EXPECT_FALSE(sequence.next(step));
    EXPECT_FALSE(sequence.next(step));
  }
}

TEST(StepSequence, JumpsOverIdleTime) {
  const std::vector<Request> requests = {{5, 2, kMaxArrival, {}}, {7, 1, 0, {}}};
  StepSequence sequence(requests, 4);
  StepRows step;
  ASSERT_TRUE(sequence.next(step));
  EXPECT_EQ(step.step, 0);
  ASSERT_TRUE(sequence.next(step));
  EXPECT_EQ(step.step, kMaxArrival);
  EXPECT_THAT(step.rows, testing::ElementsAre(StepRow{0, 5}));
  ASSERT_TRUE(sequence.next(step));
  EXPECT_THAT(step.rows, testing::ElementsAre(StepRow{0, 6}));
  EXPECT_FALSE(sequence.next(step));
}

TEST(StepSequence, RefusesWhatIsOutOfBounds) {
  const std::vector<Request> good = {{1, 1, 0, {}}};
  for (const std::int64_t bad : {std::int64_t{0}, std::int64_t{-1}, kMaxBatch + 1, INT64_MIN, INT64_MAX})
    EXPECT_THROW(StepSequence(good, bad), InvalidArgument) << bad;
  for (const Request& bad :
       {Request{0, 1, 0, {}}, Request{1, 0, 0, {}}, Request{1, 1, -1, {}}, Request{1, 1, kMaxArrival + 1, {}},
        Request{kMaxRowTokens, 1, 0, {}}, Request{1, kMaxRowTokens, 0, {}},
        Request{INT64_MAX, INT64_MAX, INT64_MAX, {}}, Request{INT64_MIN, INT64_MIN, INT64_MIN, {}}}) {
    const std::vector<Request> requests = {good[0], bad};
    try {
      StepSequence(requests, 1);
      FAIL() << bad.prompt_tokens << ' ' << bad.decode_tokens << ' ' << bad.arrival;
    } catch (const InvalidArgument& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr("requests[1]."));
    }
  }
}

}  // namespace
}  // namespace pkv
