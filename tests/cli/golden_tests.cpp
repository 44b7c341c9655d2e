// The paper's golden values, as the main job prints them: computed from the plans that ran. The shape is small (the
// counters that depend on it are scaled back), but for one run of the paper's own.

#include "run_pkv.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace pkv::testing {
namespace {

struct Golden {
  const char* arguments;
  const char* route;
  std::int64_t physical_pages;
  double mean_active;
  double launches;
  double useful_mib;   // with Hkv = 8, d = 128, fp16
  double ctas_per_sm;  // with Hkv = 8, on 28 SMs; 0: the paper does not say
  double merge_mib;    // with Hq = 32, d = 128; 0: likewise

  friend void PrintTo(const Golden& golden, std::ostream* out) {
    *out << golden.arguments << " --routes " << golden.route;
  }
};

const Golden kGolden[] = {
    {"--family bimodal --seed 20260623", "exact-buckets", 24285, 8.00, 16.00, 550.5, 73.1, 4.06},
    {"--family bimodal --seed 20260623", "workqueue", 24285, 8.00, 2.00, 550.5, 45.7, 2.54},
    {"--family bimodal --seed 20260624", "exact-buckets", 27474, 8.00, 16.00, 730.0, 0, 0},
    {"--family bimodal --seed 20260622", "workqueue", 25828, 7.77, 2.00, 638.1, 0, 0},
    {"--family bimodal --seed 20260623 --max-active 4 --requests 16", "workqueue", 15849, 4.00, 2.00, 333.3, 0, 0},
    {"--family uniform --seed 20260623", "workqueue", 31446, 8.00, 2.00, 671.0, 54.9, 3.05},
    {"--family uniform --seed 20260624", "exact-buckets", 25788, 8.00, 16.00, 555.8, 0, 0},
    {"--family zipf --seed 20260623", "workqueue", 30878, 8.00, 2.00, 672.2, 64.0, 3.55},
    {"--family zipf --seed 20260624", "exact-buckets", 31463, 8.00, 16.00, 676.9, 0, 0},
    {"--family homogeneous --seed 20260623", "exact-buckets", 49260, 0, 2.00, 1024.7, 0, 0},
    {"--family bucketed --seed 20260623", "sequence-split", 30793, 1.00, 2.00, 32.1, 9.1, 0.51},
    {"--family bucketed --seed 20260623", "exact-buckets", 30793, 1.00, 2.00, 32.1, 9.1, 0.51},
    {"--family bucketed --seed 20260623", "workqueue", 30793, 1.00, 2.00, 32.1, 6.9, 0.38},
    {"--family bimodal --seed 20260623 --requests 8 --steps 24", "workqueue", 7585, 0, 2.00, 472.7, 0, 0},
};

class GoldenValues : public ::testing::TestWithParam<Golden> {};

TEST_P(GoldenValues, ComeFromThePlansThatRan) {
  if (PKV_SANITIZED) GTEST_SKIP() << "too slow under a sanitizer; the plans are the same in a release build";
  const Golden& golden = GetParam();
  const TemporaryFolder folder;
  const std::string json = folder.file("out.json");
  // Eight KV heads of 16 instead of 128 elements, each with its own query head.
  const CommandResult run = run_pkv(fmt::format(
      "replay {} --routes {} --check 0 --num-q-heads 8 --head-dim 16 --json {}", golden.arguments, golden.route, json));
  ASSERT_EQ(run.exit_code, 0) << run.output;
  std::ifstream file(json);
  const auto row = nlohmann::json::parse(file)["rows"][0];
  EXPECT_EQ(row["physical_pages"], golden.physical_pages);
  EXPECT_NEAR(row["launches"].get<double>(), golden.launches, 0.005);
  EXPECT_NEAR(row["kv_bytes"].get<double>() * 8 / (1 << 20), golden.useful_mib, 0.05);
  if (golden.mean_active > 0) {
    EXPECT_NEAR(row["mean_active_rows"].get<double>(), golden.mean_active, 0.005);
  }
  if (golden.ctas_per_sm > 0) {
    EXPECT_NEAR(row["decode_ctas"].get<double>() / 28, golden.ctas_per_sm, 0.05);
  }
  if (golden.merge_mib > 0) {
    EXPECT_NEAR(row["merge_mib"].get<double>() * 4 * 130 / 18, golden.merge_mib, 0.005);
  }
}

INSTANTIATE_TEST_SUITE_P(Paper, GoldenValues, ::testing::ValuesIn(kGolden));

TEST(GoldenValues, ThePapersShapePrintsThem) {
  if (PKV_SANITIZED) GTEST_SKIP() << "too slow under a sanitizer";
  const CommandResult run = run_pkv("replay --routes exact-buckets,workqueue --check 1");
  ASSERT_EQ(run.exit_code, 0) << run.output;
  for (const char* text : {"24285 physical pages", "useful KV 550.5 MiB a step", "8.00 active rows", "16.00", "4.06",
                           "73.1", "2.54", "45.7"})
    EXPECT_NE(run.output.find(text), std::string::npos) << text << " is not in\n" << run.output;
}

}  // namespace
}  // namespace pkv::testing
