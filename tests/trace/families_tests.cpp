#include "persistentkv/trace/families.hpp"

#include "persistentkv/core/error.hpp"
#include "persistentkv/trace/page_assignment.hpp"
#include "persistentkv/trace/paper_runs.hpp"
#include "persistentkv/trace/readers.hpp"
#include "persistentkv/trace/step_sequence.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <set>
#include <tuple>

namespace pkv {
namespace {

/// A row of the study's golden table; what it does not state is left empty.
struct Golden {
  const char* run;
  std::uint32_t seed;
  std::int64_t physical_pages;
  std::optional<double> mean_active;
  std::optional<double> exact_bucket_launches;  // a step: decode and merge for each distinct length
  double useful_kv_mib;                         // a step
};

class GoldenTable : public testing::TestWithParam<Golden> {};

TEST_P(GoldenTable, Reproduces) {
  const Golden& golden = GetParam();
  const PaperRun& run = find_paper_run(golden.run);
  const std::vector<Request> requests = generate_requests(run.options(golden.seed));
  EXPECT_EQ(PageAssignment(requests, {}).num_physical_pages(), golden.physical_pages);

  StepSequence sequence(requests, run.max_active);
  StepRows step;
  std::int64_t rows = 0;
  std::int64_t launches = 0;
  std::int64_t tokens = 0;
  for (std::int64_t i = 0; i < run.num_steps; ++i) {
    ASSERT_TRUE(sequence.next(step)) << i;
    std::set<std::int64_t> lengths;
    for (const StepRow& row : step.rows) {
      lengths.insert(row.length_tokens);
      tokens += row.length_tokens;
    }
    rows += static_cast<std::int64_t>(step.rows.size());
    launches += 2 * static_cast<std::int64_t>(lengths.size());
  }
  const auto steps = static_cast<double>(run.num_steps);
  constexpr double kKvBytesPerToken = 8 * 128 * 2 * 2;  // KV heads, head_dim, K and V, fp16
  const double mib = static_cast<double>(tokens) * kKvBytesPerToken / (1 << 20) / steps;
  EXPECT_LE(std::abs(mib - golden.useful_kv_mib), 0.05 + 1e-9);
  if (golden.mean_active) {
    EXPECT_LE(std::abs(static_cast<double>(rows) / steps - *golden.mean_active), 0.005);
  }
  if (golden.exact_bucket_launches) {
    EXPECT_LE(std::abs(static_cast<double>(launches) / steps - *golden.exact_bucket_launches), 0.005);
  }
}

constexpr auto kNone = std::nullopt;
INSTANTIATE_TEST_SUITE_P(Study, GoldenTable,
                         testing::Values(Golden{"bimodal-b8", 20260623, 24285, 8.00, 16.00, 550.5},
                                         Golden{"bimodal-b8", 20260624, 27474, 8.00, 16.00, 730.0},
                                         Golden{"bimodal-b8", 20260622, 25828, 7.77, kNone, 638.1},
                                         Golden{"bimodal-b4", 20260623, 15849, kNone, kNone, 333.3},
                                         Golden{"uniform-b8", 20260623, 31446, 8.00, 16.00, 671.0},
                                         Golden{"uniform-b8", 20260624, 25788, 8.00, 16.00, 555.8},
                                         Golden{"zipf-b8", 20260623, 30878, 8.00, 16.00, 672.2},
                                         Golden{"zipf-b8", 20260624, 31463, 8.00, 16.00, 676.9},
                                         Golden{"homogeneous-b8", 20260623, 49260, kNone, 2.00, 1024.7},
                                         Golden{"bucketed-b1", 20260623, 30793, 1.00, 2.00, 32.1},
                                         Golden{"gqa-sweep", 20260623, 7585, kNone, kNone, 472.7}));

using Triple = std::tuple<std::int64_t, std::int64_t, std::int64_t>;  // prompt, decode, arrival

std::vector<Triple> triples(const std::vector<Request>& requests) {
  std::vector<Triple> result;
  for (const Request& r : requests) result.emplace_back(r.prompt_tokens, r.decode_tokens, r.arrival);
  return result;
}

TEST(Families, FirstRequestsAreBitExact) {
  const auto first = [](TraceFamily family) { return triples(generate_requests({family, 20260623, 6, 2})); };
  using testing::ElementsAre;
  EXPECT_THAT(first(TraceFamily::kUniform),
              ElementsAre(Triple{23536, 35, 0}, Triple{31168, 71, 0}, Triple{9440, 26, 1}, Triple{16272, 56, 1},
                          Triple{22784, 42, 2}, Triple{31792, 17, 2}));
  EXPECT_THAT(first(TraceFamily::kBimodal),
              ElementsAre(Triple{61504, 95, 0}, Triple{8752, 33, 0}, Triple{3952, 48, 1}, Triple{2848, 39, 1},
                          Triple{34528, 61, 2}, Triple{2928, 30, 2}));
  EXPECT_THAT(first(TraceFamily::kZipf),
              ElementsAre(Triple{34896, 118, 0}, Triple{24080, 79, 0}, Triple{16384, 106, 1}, Triple{16224, 108, 1},
                          Triple{16784, 40, 2}, Triple{17744, 19, 2}));
  EXPECT_THAT(first(TraceFamily::kBucketed),
              ElementsAre(Triple{8192, 80, 0}, Triple{16384, 89, 0}, Triple{32768, 81, 1}, Triple{65536, 56, 1},
                          Triple{8192, 96, 2}, Triple{16384, 60, 2}));
  EXPECT_THAT(first(TraceFamily::kHomogeneous),
              ElementsAre(Triple{32768, 80, 0}, Triple{32768, 89, 0}, Triple{32768, 81, 1}, Triple{32768, 56, 1},
                          Triple{32768, 96, 2}, Triple{32768, 60, 2}));
}

TEST(Families, SourceGivesTheSameRequests) {
  for (const PaperRun& run : paper_runs()) {
    const FamilyOptions options = run.options(kHeldOutSeeds.back());
    const auto source = make_family_source(options);
    EXPECT_EQ(triples(read_requests(*source)), triples(generate_requests(options)));
    EXPECT_EQ(source->arrival_unit(), ArrivalUnit::kSteps);
    EXPECT_THAT(source->name(), testing::HasSubstr("20260627"));
  }
}

TEST(Families, NamesRoundTrip) {
  for (const auto family : {TraceFamily::kUniform, TraceFamily::kBimodal, TraceFamily::kZipf, TraceFamily::kBucketed,
                            TraceFamily::kHomogeneous})
    EXPECT_EQ(parse_trace_family(to_string(family)), family);
  EXPECT_THROW((void)parse_trace_family("Zipf"), InvalidArgument);
}

TEST(Families, RefusesWhatIsOutOfBounds) {
  for (const std::int64_t bad : {std::int64_t{0}, std::int64_t{-1}, INT64_MIN, INT64_MAX}) {
    EXPECT_THROW((void)generate_requests({TraceFamily::kZipf, 1, bad, 8}), InvalidArgument);
    EXPECT_THROW((void)make_family_source({TraceFamily::kZipf, 1, 8, bad}), InvalidArgument);
  }
}

TEST(PaperRuns, UnknownNameListsTheKnown) {
  try {
    (void)find_paper_run("zipf");
    FAIL();
  } catch (const InvalidArgument& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("zipf-b8"));
  }
}

}  // namespace
}  // namespace pkv
