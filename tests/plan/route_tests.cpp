#include "persistentkv/plan/route.hpp"

#include "persistentkv/core/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

namespace pkv {
namespace {

TEST(Route, NamesAreTheVocabularys) {
  std::vector<std::string> names;
  for (const Route route : kRunnableRoutes) names.emplace_back(to_string(route));
  EXPECT_THAT(names,
              testing::ElementsAre("exact-buckets", "coarse-buckets", "padded-bucket", "sequence-split", "workqueue",
                                   "workqueue-fused", "stream", "flashinfer-cuda-core", "flashinfer-tensor-core"));
  EXPECT_EQ(to_string(Route::kPolicy), "policy");
}

TEST(Route, NamesRoundTrip) {
  for (const Route route : kRunnableRoutes) EXPECT_EQ(parse_route(to_string(route)), route);
  EXPECT_EQ(parse_route("policy"), Route::kPolicy);
}

TEST(Route, UnknownNamesAreRefusedWithTheList) {
  for (const char* text : {"", "Workqueue", "workqueue ", "flashinfer"}) {
    try {
      (void)parse_route(text);
      FAIL() << text;
    } catch (const InvalidArgument& error) {
      EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr('"' + std::string(text) + '"'),
                                               testing::HasSubstr("workqueue-fused"), testing::HasSubstr("policy")));
    }
  }
}

TEST(Route, EverySchedulesRouteLeadsBackToIt) {
  std::set<Route> routes;
  for (const Schedule schedule : kAllSchedules) {
    const Route route = route_of(schedule);
    EXPECT_EQ(schedule_of(route), schedule);
    EXPECT_EQ(to_string(route), to_string(schedule));
    routes.insert(route);
  }
  EXPECT_EQ(routes.size(), kAllSchedules.size());
  for (const Route route : {Route::kFlashInferCudaCore, Route::kFlashInferTensorCore, Route::kPolicy})
    EXPECT_EQ(schedule_of(route), std::nullopt);
}

}  // namespace
}  // namespace pkv
