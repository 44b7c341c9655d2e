// Requests that share a prefix share its pages.

#include "batching/vector_source.hpp"
#include "scripted.hpp"
#include "serving/serve.hpp"

#include <gtest/gtest.h>

namespace pkv::serving {
namespace {

using testing::VectorSource;
using testing_support::ScriptedExecutor;
using testing_support::small_options;
using testing_support::ten_a_row;

/// Two blocks of 512 tokens in common, and a little of their own.
std::vector<Request> alike() { return {{1034, 2, 0, {7, 8, 9}}, {1040, 2, 0, {7, 8, 10}}}; }

ServingOptions sharing(bool share) {
  ServingOptions options = small_options();
  options.batching.num_pages = 256;
  options.batching.share_prefixes = share;
  return options;
}

TEST(SharedPrefixes, AreTheSamePagesOfTheTable) {
  std::int64_t equal = 0;
  VectorSource source(alike(), ArrivalUnit::kMicroseconds);
  ScriptedExecutor executor([&](const StepView& step) {
    EXPECT_EQ(step.rows.size(), 2U);
    const std::int64_t a = step.table.base(0), b = step.table.base(1);
    for (std::int64_t j = 0; j < 65; ++j) {  // what both rows have: 65 pages, 65 or 66
      const bool same = step.table.page(a, j) == step.table.page(b, j);
      EXPECT_EQ(same, j < 64) << j;  // 1024 tokens in pages of 16
      equal += same ? 1 : 0;
    }
    return ten_a_row(step);
  });
  const ServingResult r = run_serving(source, executor, Route::kStream, sharing(true));
  EXPECT_EQ(equal, 2 * 64);
  EXPECT_EQ(r.counts.shared_tokens, 1024);
  EXPECT_EQ(r.prefilled_tokens, 1034 + 16);
}

TEST(SharedPrefixes, CountOnceInThePoolAndForEachRowInWhatIsRead) {
  VectorSource one(alike(), ArrivalUnit::kMicroseconds);
  VectorSource other(alike(), ArrivalUnit::kMicroseconds);
  ScriptedExecutor executor(ten_a_row);
  const ServingResult shared = run_serving(one, executor, Route::kStream, sharing(true));
  const ServingResult apart = run_serving(other, executor, Route::kStream, sharing(false));
  EXPECT_EQ(shared.kv_bytes, apart.kv_bytes);
  // 1034 and 1035 tokens are 65 pages, 1040 are 65 and 1041 are 66; 64 of them are the same.
  EXPECT_DOUBLE_EQ(apart.kv.used, (130.0 + 131.0) / 2 / 256);
  EXPECT_DOUBLE_EQ(shared.kv.used, (66.0 + 67.0) / 2 / 256);
  EXPECT_DOUBLE_EQ(shared.kv.filled, ((1034.0 + 16) / (66 * 16) + (1035.0 + 17) / (67 * 16)) / 2);
}

TEST(SharedPrefixes, AreNotProcessedAgainHere) {
  ServingOptions options = sharing(true);
  options.traffic.prefill.rule = PrefillRule::kInline;  // a token a microsecond
  VectorSource source(alike(), ArrivalUnit::kMicroseconds);
  ScriptedExecutor executor(ten_a_row);
  const ServingResult r = run_serving(source, executor, Route::kStream, options);
  EXPECT_DOUBLE_EQ(r.busy_us, 2 * 51.0 + 1034 + 16);
}

}  // namespace
}  // namespace pkv::serving
