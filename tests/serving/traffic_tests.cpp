#include "serving/traffic.hpp"

#include "batching/vector_source.hpp"
#include "persistentkv/core/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace pkv::serving {
namespace {

using ::testing::ElementsAre;
using testing::VectorSource;

std::vector<std::int64_t> arrivals(Traffic& traffic) {
  std::vector<std::int64_t> result;
  for (Request request; traffic.next(request);) result.push_back(request.arrival);
  return result;
}

TEST(Traffic, SpeedBringsArrivalsNearerAndSecondsCutThem) {
  VectorSource source({{1, 1, 0, {}}, {1, 1, 1'000'000, {}}, {1, 1, 3'000'000, {}}, {1, 1, 9'000'000, {}}},
                      ArrivalUnit::kMicroseconds);
  TrafficOptions options;
  options.speed = 2.0;
  options.seconds = 1.5;
  options.prefill.rule = PrefillRule::kNone;
  Traffic traffic(source, options);
  EXPECT_THAT(arrivals(traffic), ElementsAre(0, 500'000, 1'500'000));
  EXPECT_EQ(traffic.arrived_us(1), 500'000.0);
}

TEST(Traffic, RequestsAreCounted) {
  VectorSource source({{1, 1, 0, {}}, {1, 1, 1, {}}, {1, 1, 2, {}}});
  TrafficOptions options;
  options.requests = 2;
  options.prefill.rule = PrefillRule::kNone;
  Traffic traffic(source, options);
  EXPECT_THAT(arrivals(traffic), ElementsAre(0, 1));
}

TEST(Traffic, AShortPromptOvertakesALongOne) {
  VectorSource source({{100, 1, 0, {}}, {10, 2, 20, {}}, {5, 3, 90, {}}}, ArrivalUnit::kMicroseconds);
  TrafficOptions options;
  options.prefill = {PrefillRule::kSeparate, 1e6};  // a token a microsecond
  Traffic traffic(source, options);
  Request request;
  ASSERT_TRUE(traffic.next(request));
  EXPECT_EQ(request.prompt_tokens, 10);
  EXPECT_EQ(request.arrival, 30);
  ASSERT_TRUE(traffic.next(request));
  EXPECT_EQ(request.prompt_tokens, 5);
  EXPECT_EQ(request.arrival, 95);
  ASSERT_TRUE(traffic.next(request));
  EXPECT_EQ(request.prompt_tokens, 100);
  EXPECT_EQ(request.arrival, 100);
  EXPECT_FALSE(traffic.next(request));
  EXPECT_EQ(traffic.arrived_us(0), 20.0);
  EXPECT_EQ(traffic.arrived_us(1), 90.0);
  EXPECT_EQ(traffic.arrived_us(2), 0.0);
}

TEST(Traffic, OrderIsThatOfSortingByTheTimeThatPromptsAreDone) {
  std::mt19937 random(std::random_device{}());
  for (int round = 0; round < 50; ++round) {
    std::vector<Request> requests(1 + random() % 60);
    std::int64_t now = 0;
    for (Request& request : requests) {
      now += static_cast<std::int64_t>(random() % 50);
      request = {1 + static_cast<std::int64_t>(random() % 200), 1, now, {}};
    }
    TrafficOptions options;
    options.prefill = {PrefillRule::kSeparate, 0.7e6};
    std::vector<std::int64_t> expected;
    for (const Request& request : requests) {
      const double ready = static_cast<double>(request.arrival) + options.prefill.us(request.prompt_tokens);
      expected.push_back(static_cast<std::int64_t>(std::ceil(ready)));
    }
    std::sort(expected.begin(), expected.end());
    VectorSource source(requests, ArrivalUnit::kMicroseconds);
    Traffic traffic(source, options);
    EXPECT_EQ(arrivals(traffic), expected);
  }
}

TEST(Traffic, RefusesWhatItCannotDo) {
  VectorSource steps({}, ArrivalUnit::kSteps);
  VectorSource time({}, ArrivalUnit::kMicroseconds);
  const TrafficOptions separate;
  EXPECT_THROW(Traffic(steps, separate), InvalidArgument);
  EXPECT_NO_THROW(Traffic(time, separate));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double bad : {0.0, -1.0, nan}) {
    TrafficOptions options;
    options.speed = bad;
    EXPECT_THROW(Traffic(time, options), InvalidArgument) << bad;
    options = {};
    options.seconds = bad;
    EXPECT_THROW(Traffic(time, options), InvalidArgument) << bad;
    options = {};
    options.prefill.tokens_per_s = bad;
    EXPECT_THROW(Traffic(time, options), InvalidArgument) << bad;
  }
  TrafficOptions fast;
  fast.prefill.rule = PrefillRule::kNone;
  fast.speed = 2.0;
  EXPECT_THROW(Traffic(steps, fast), InvalidArgument);
}

TEST(PrefillRules, HaveNames) {
  for (const PrefillRule rule : {PrefillRule::kSeparate, PrefillRule::kInline, PrefillRule::kNone})
    EXPECT_EQ(parse_prefill_rule(to_string(rule)), rule);
  EXPECT_THROW((void)parse_prefill_rule("chunked"), InvalidArgument);
}

}  // namespace
}  // namespace pkv::serving
