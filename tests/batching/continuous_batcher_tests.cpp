#include "persistentkv/batching/continuous_batcher.hpp"

#include "persistentkv/core/error.hpp"
#include "vector_source.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace pkv {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
using testing::VectorSource;

constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();

Request request(std::int64_t prompt, std::int64_t decode, std::int64_t arrival, std::vector<std::int64_t> ids = {}) {
  return {prompt, decode, arrival, std::move(ids)};
}

std::vector<std::int64_t> ids_of(const StepView& step) {
  std::vector<std::int64_t> ids;
  for (const ActiveRow& row : step.rows) ids.push_back(row.request_id);
  return ids;
}

TEST(ContinuousBatcher, ARequestGrowsAndLeaves) {
  VectorSource source({request(15, 3, 0)});
  ContinuousBatcher batcher(source, {.num_pages = 2, .page_size = 16});
  StepView step;
  for (const std::int32_t length : {15, 16, 17}) {
    ASSERT_TRUE(batcher.next_step(step));
    EXPECT_THAT(step.lengths, ElementsAre(length));
    EXPECT_THAT(step.capacity_tokens, ElementsAre(length > 16 ? 32 : 16));
    EXPECT_EQ(step.rows[0].is_first, length == 15);
    EXPECT_NO_THROW(step.step(AttentionShape{}, DType::kF16).validate());
    EXPECT_EQ(batcher.finish_step(1.0).size(), length == 17 ? 1u : 0u);
  }
  EXPECT_FALSE(batcher.next_step(step));
  EXPECT_FALSE(batcher.next_step(step)) << "the end stays the end";
  EXPECT_NO_THROW(batcher.check_conservation());
}

TEST(ContinuousBatcher, NobodyOvertakesTheHead) {
  // 1 must wait for the pages of 0; 2 and 3 would fit at once.
  VectorSource source({request(60, 4, 0), request(60, 4, 0), request(10, 2, 0), request(10, 2, 0)});
  ContinuousBatcher batcher(source, {.max_active = 3, .num_pages = 6, .page_size = 16});
  StepView step;
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(batcher.next_step(step));
    EXPECT_THAT(ids_of(step), ElementsAre(0));
    batcher.finish_step(10.0);
  }
  ASSERT_TRUE(batcher.next_step(step));
  EXPECT_THAT(ids_of(step), ElementsAre(1, 2, 3));
  EXPECT_EQ(batcher.counters().queue_wait_us_sum, 120.0);
  EXPECT_EQ(batcher.counters().queue_wait_us_max, 40.0);
}

TEST(ContinuousBatcher, WhatCanNeverFitIsRejectedAndBlocksNobody) {
  VectorSource source({request(10, 6, 0), request(100, 1, 0), request(kHuge, kHuge, 0), request(1, kHuge, 0),
                       request(kMaxRowTokens, 1, 0), request(60, 4, 0)});
  ContinuousBatcher batcher(source, {.num_pages = 6, .page_size = 16});
  StepView step;
  ASSERT_TRUE(batcher.next_step(step));
  EXPECT_THAT(ids_of(step), ElementsAre(0, 5));
  EXPECT_EQ(batcher.counters().rejected, 4);
  ASSERT_EQ(batcher.rejections().size(), 4u);
  EXPECT_EQ(batcher.rejections()[0].request_id, 1);
  EXPECT_EQ(batcher.rejections()[0].reason,
            "prompt of 100 and decode of 1 tokens: they take 7 pages of 16, the KV budget has 6");
  EXPECT_THAT(batcher.rejections()[1].reason, HasSubstr("a sequence has at most 1073741824 tokens"));
}

TEST(ContinuousBatcher, RejectionsAloneAreAnEmptyRunAndFewReasonsAreKept) {
  VectorSource source(std::vector<Request>(1000, request(100, 1, 0)));
  ContinuousBatcher batcher(source, {.num_pages = 6, .page_size = 16});
  StepView step;
  EXPECT_FALSE(batcher.next_step(step));
  EXPECT_EQ(batcher.counters().rejected, 1000);
  EXPECT_EQ(batcher.rejections().size(), static_cast<std::size_t>(ContinuousBatcher::kKeptRejections));
}

TEST(ContinuousBatcher, TheClockJumpsOverIdleTime) {
  for (const ArrivalUnit unit : {ArrivalUnit::kSteps, ArrivalUnit::kMicroseconds}) {
    VectorSource source({request(5, 1, 1000), request(5, 1, 5000)}, unit);
    ContinuousBatcher batcher(source, {.num_pages = 6});
    StepView step;
    ASSERT_TRUE(batcher.next_step(step));
    const bool in_steps = unit == ArrivalUnit::kSteps;
    EXPECT_EQ(step.start_us, in_steps ? 0.0 : 1000.0) << "idle steps take no time, idle microseconds do";
    const auto finished = batcher.finish_step(7.0);
    ASSERT_EQ(finished.size(), 1u);
    EXPECT_EQ(finished[0].admitted_us, step.start_us);
    EXPECT_EQ(finished[0].first_token_us, step.start_us + 7.0);
    ASSERT_TRUE(batcher.next_step(step));
    EXPECT_EQ(step.start_us, in_steps ? 7.0 : 5000.0);
    batcher.finish_step(7.0);
    EXPECT_FALSE(batcher.next_step(step));
    EXPECT_EQ(batcher.counters().steps, 2);
    EXPECT_EQ(batcher.counters().queue_wait_us_sum, 0.0);
  }
}

TEST(ContinuousBatcher, TheTraceIsReadOnlyAsFarAsTheHead) {
  VectorSource source(std::vector<Request>(500, request(20, 5, 0)));
  ContinuousBatcher batcher(source, {.max_active = 4, .num_pages = 100});
  StepView step;
  while (batcher.next_step(step)) {
    ASSERT_LE(source.pulled(), batcher.counters().admitted + 1);
    batcher.finish_step(1.0);
  }
  EXPECT_EQ(batcher.counters().finished, 500);
}

TEST(ContinuousBatcher, SharingServesMoreAtOnceFromTheSamePages) {
  std::vector<Request> requests(8, request(1100, 20, 0, {7, 8, 9}));
  const auto peak_active = [&](bool share) {
    VectorSource source(requests);
    ContinuousBatcher batcher(source, {.num_pages = 120, .share_prefixes = share});
    StepView step;
    while (batcher.next_step(step)) batcher.finish_step(1.0);
    batcher.check_conservation();
    EXPECT_EQ(batcher.counters().shared_tokens, share ? 7 * 1024 : 0);
    EXPECT_LE(batcher.counters().peak_pages, 120);
    return batcher.counters().peak_active;
  };
  EXPECT_EQ(peak_active(false), 1);  // 70 pages each
  EXPECT_EQ(peak_active(true), 8);   // 64 shared, 6 each
}

TEST(ContinuousBatcher, HostileOptionsAreNamed) {
  VectorSource source({});
  const auto made = [&](const BatchingOptions& options) {
    return [&source, options] { ContinuousBatcher batcher(source, options); };
  };
  EXPECT_THAT(made({.num_pages = 0}), ThrowsMessage<InvalidArgument>(HasSubstr("num_pages is 0, must be in [1,")));
  EXPECT_THAT(made({.num_pages = kHuge}),
              ThrowsMessage<InvalidArgument>(HasSubstr("num_pages is 9223372036854775807")));
  EXPECT_THAT(made({.max_active = 0, .num_pages = 1}),
              ThrowsMessage<InvalidArgument>(HasSubstr("max_active is 0, must be in [1, 1048576]")));
  EXPECT_THAT(made({.max_active = kHuge, .num_pages = 1}), ThrowsMessage<InvalidArgument>(HasSubstr("max_active is")));
  EXPECT_THAT(made({.num_pages = 1, .page_size = 0}), ThrowsMessage<InvalidArgument>(HasSubstr("page_size is 0")));
  EXPECT_THAT(made({.num_pages = 1, .page_size = 48, .share_prefixes = true}),
              ThrowsMessage<InvalidArgument>(HasSubstr("page_size is 48, must divide the 512 tokens")));
}

TEST(ContinuousBatcher, HostileRequestsAreNamed) {
  const auto served = [](std::vector<Request> requests) {
    return [requests] {
      VectorSource source(requests);
      ContinuousBatcher batcher(source, {.num_pages = 10});
      StepView step;
      (void)batcher.next_step(step);
    };
  };
  EXPECT_THAT(served({request(0, 1, 0)}), ThrowsMessage<InvalidArgument>(HasSubstr("request 0: prompt_tokens is 0")));
  EXPECT_THAT(served({request(1, 0, 0)}), ThrowsMessage<InvalidArgument>(HasSubstr("request 0: decode_tokens is 0")));
  EXPECT_THAT(served({request(1, 1, -1)}), ThrowsMessage<InvalidArgument>(HasSubstr("arrival is -1, must be in [0,")));
  EXPECT_THAT(served({request(1, 1, kHuge)}), ThrowsMessage<InvalidArgument>(HasSubstr("9007199254740992]")));
  EXPECT_THAT(served({request(1, 1, 5), request(1, 1, 4)}),
              ThrowsMessage<InvalidArgument>(HasSubstr("request 1: arrival is 4, must be in [5,")));
}

TEST(ContinuousBatcher, StepsAreBegunAndFinishedByTurns) {
  VectorSource source({request(1, 2, 0)});
  ContinuousBatcher batcher(source, {.num_pages = 10});
  EXPECT_THROW(batcher.finish_step(1.0), InvalidArgument);
  StepView step;
  ASSERT_TRUE(batcher.next_step(step));
  EXPECT_THROW((void)batcher.next_step(step), InvalidArgument);
  EXPECT_THROW(batcher.finish_step(std::nan("")), InvalidArgument);
  EXPECT_NO_THROW(batcher.finish_step(0.0)) << "a refused duration leaves the step to be finished";
  EXPECT_EQ(batcher.counters().decoded_tokens, 1);
}

}  // namespace
}  // namespace pkv
