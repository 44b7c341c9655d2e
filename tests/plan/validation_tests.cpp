// A plan that is wrong in any way cannot be made: each mutation of a good plan is refused, and says what is wrong.

#include "persistentkv/core/error.hpp"
#include "persistentkv/plan/planner.hpp"
#include "random_batch.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <numeric>

namespace pkv {
namespace {

const std::vector<std::int32_t> kLengths{500, 0, 64, 33};

PlanParts good(Schedule schedule) {
  return make_plan(schedule, {{4, 2, 64}, kLengths, {}}, {.splits = 4, .num_workers = 5}).parts();
}

void expect_refused(PlanParts parts, const std::string& fragment) {
  try {
    const WorkPlan plan(std::move(parts));
    FAIL() << "accepted, expected: " << fragment;
  } catch (const InvalidArgument& error) {
    EXPECT_NE(std::string(error.what()).find(fragment), std::string::npos) << error.what();
  }
}

TEST(Validation, GoodPartsAreAcceptedAgain) {
  for (const Schedule schedule : kAllSchedules) EXPECT_NO_THROW(WorkPlan{good(schedule)});
}

TEST(Validation, AReservationBelowItsRowIsRefused) {
  PlanParts parts = good(Schedule::kPaddedBucket);
  parts.reserved_tokens[2] = 63;
  expect_refused(parts, "reserved_tokens[2] is 63, must be >= its length, 64");
  parts.reserved_tokens.pop_back();
  expect_refused(parts, "reserved_tokens has 3 entries, must have batch = 4 or none");
}

TEST(Validation, ADroppedSegmentIsRefused) {
  for (const Schedule schedule : kAllSchedules) {
    const PlanParts parts = good(schedule);
    for (std::size_t i = 0; i < parts.segments.size(); ++i) {
      PlanParts mutant = parts;
      mutant.segments.erase(mutant.segments.begin() + static_cast<std::ptrdiff_t>(i));
      for (std::int32_t& offset : mutant.worker_offsets) offset -= static_cast<std::size_t>(offset) > i ? 1 : 0;
      EXPECT_THROW(WorkPlan{mutant}, InvalidArgument) << to_string(schedule) << ", segment " << i;
    }
  }
}

TEST(Validation, EveryChangeOfASegmentIsRefused) {
  for (const Schedule schedule : kAllSchedules) {
    const PlanParts parts = good(schedule);
    for (std::size_t i = 0; i < parts.segments.size(); ++i) {
      const std::function<void(Segment&)> mutations[] = {[](Segment& s) { --s.tile_begin; },
                                                         [](Segment& s) { ++s.tile_begin; },
                                                         [](Segment& s) { --s.tile_end; },
                                                         [](Segment& s) { ++s.tile_end; },
                                                         [](Segment& s) { ++s.row; },
                                                         [](Segment& s) { --s.row; },
                                                         [](Segment& s) { s.kv_head ^= 1; },
                                                         [](Segment& s) { s.kv_head = 2; },
                                                         [](Segment& s) { s.slot += 1000; },
                                                         [](Segment& s) { s.slot = s.slot == Segment::kNoSlot ? 0 : Segment::kNoSlot; }};
      for (const auto& mutate : mutations) {
        PlanParts mutant = parts;
        mutate(mutant.segments[i]);
        EXPECT_THROW(WorkPlan{mutant}, InvalidArgument) << to_string(schedule) << ", segment " << i;
      }
    }
  }
}

TEST(Validation, NamesWhatIsWrong) {
  PlanParts parts = good(Schedule::kWorkqueue);
  parts.merge_slots[1] = parts.merge_slots[0];
  expect_refused(parts, "must go on at tile");

  parts = good(Schedule::kWorkqueue);
  parts.segments[1].slot = parts.segments[0].slot;
  expect_refused(parts, "writes slot");

  parts = good(Schedule::kWorkqueue);
  std::swap(parts.launches[0], parts.launches[1]);
  expect_refused(parts, "makes one of its partials");

  parts = good(Schedule::kWorkqueue);
  parts.launches.pop_back();
  expect_refused(parts, "is in no launch");

  parts = good(Schedule::kWorkqueue);
  parts.launches.push_back(parts.launches[0]);
  expect_refused(parts, "which an earlier launch runs");

  parts = good(Schedule::kWorkqueue);
  parts.merges.pop_back();
  parts.launches[1].end -= 1;
  expect_refused(parts, "never merged");

  parts = good(Schedule::kStream);
  parts.launches[0].end -= 1;
  expect_refused(parts, "worker 4 is in no launch");

  parts = good(Schedule::kWorkqueueFused);
  parts.launches[0].kind = Launch::Kind::kDecode;
  expect_refused(parts, "does not merge all its partials");

  parts = good(Schedule::kStream);
  parts.lengths[1] = 5;
  expect_refused(parts, "5 tokens are covered by nobody");

  parts = good(Schedule::kStream);
  parts.lengths[1] = -5;
  expect_refused(parts, "must be >= 0");

  parts = good(Schedule::kStream);
  parts.worker_offsets.back() += 1;
  expect_refused(parts, "must be the number of segments");

  parts = good(Schedule::kStream);
  parts.num_slots = -1;
  expect_refused(parts, "num_slots is -1");

  parts = good(Schedule::kStream);
  parts.num_kv_heads = 3;
  expect_refused(parts, "must be a multiple of num_kv_heads");
}

TEST(Validation, AnyPartitionInAnyOrderIsAPlan) {
  const std::uint32_t seed = testing::fresh_seed();
  SCOPED_TRACE(::testing::Message() << "seed " << seed);
  std::mt19937 rng(seed);
  for (int round = 0; round < 50; ++round) {
    PlanParts parts = good(Schedule::kWorkqueue);
    std::shuffle(parts.segments.begin(), parts.segments.end(), rng);  // slots travel with their segments
    EXPECT_NO_THROW(WorkPlan{parts});
  }
}

}  // namespace
}  // namespace pkv
