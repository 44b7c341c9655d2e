#include "persistentkv/trace/page_assignment.hpp"

#include "persistentkv/core/error.hpp"
#include "persistentkv/core/step.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace pkv {
namespace {

TEST(PageAssignment, EveryRequestOwnsItsPagesAlone) {
  for (int round = 0; round < 100; ++round) {
    const std::uint32_t seed = std::random_device{}();
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    std::vector<Request> requests(random() % 30);
    for (Request& r : requests) {
      r.prompt_tokens = 1 + random() % 500;
      r.decode_tokens = 1 + random() % 50;
    }
    const int page_size = 1 << random() % 6;
    const double holes = static_cast<double>(random() % 96) / 100;
    const PageAssignment assignment(requests, {page_size, holes, seed});

    ASSERT_EQ(assignment.num_requests(), static_cast<std::int64_t>(requests.size()));
    std::vector<int> owners(static_cast<std::size_t>(assignment.num_physical_pages()));
    std::int64_t owned = 0;
    for (std::size_t i = 0; i < requests.size(); ++i) {
      const auto pages = assignment.pages(static_cast<std::int64_t>(i));
      const std::int64_t tokens = requests[i].prompt_tokens + requests[i].decode_tokens;
      ASSERT_GE(static_cast<std::int64_t>(pages.size()) * page_size, tokens);
      ASSERT_LT(static_cast<std::int64_t>(pages.size() - 1) * page_size, tokens);
      owned += static_cast<std::int64_t>(pages.size());
      for (const std::int32_t page : pages) ASSERT_EQ(owners.at(static_cast<std::size_t>(page))++, 0);
    }
    EXPECT_EQ(assignment.num_physical_pages(), std::ceil(static_cast<double>(owned) / (1.0 - holes)));
  }
}

TEST(PageAssignment, PermutationIsBitExact) {
  const std::vector<Request> requests = {{30, 3, 0, {}}, {100, 12, 0, {}}};  // 3 and 7 pages
  const PageAssignment assignment(requests, {16, 0.0, 7});
  EXPECT_THAT(assignment.pages(0), testing::ElementsAre(9, 0, 8));
  EXPECT_THAT(assignment.pages(1), testing::ElementsAre(3, 2, 6, 7, 1, 4, 5));
}

TEST(PageAssignment, RefusesWhatIsOutOfBounds) {
  const std::vector<Request> good = {{1, 1, 0, {}}};
  for (const int page_size : {0, -1, (1 << 20) + 1})
    EXPECT_THROW(PageAssignment(good, {page_size, 0.0, 1}), InvalidArgument) << page_size;
  for (const double holes : {-0.01, 0.96, 1.0, 2.0, std::numeric_limits<double>::quiet_NaN()})
    EXPECT_THROW(PageAssignment(good, {16, holes, 1}), InvalidArgument) << holes;
  EXPECT_THROW(PageAssignment(std::vector<Request>{{0, 1, 0, {}}}, {}), InvalidArgument);
  const std::vector<Request> huge(3, {kMaxRowTokens - 1, 1, 0, {}});
  EXPECT_THROW(PageAssignment(huge, {1, 0.0, 1}), InvalidArgument);
  EXPECT_THROW(PageAssignment(std::span(huge).first(1), {1, 0.9, 1}), InvalidArgument);
}

}  // namespace
}  // namespace pkv
