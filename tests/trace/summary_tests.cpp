#include "persistentkv/trace/summary.hpp"

#include "persistentkv/trace/readers.hpp"
#include "support/temporary_folder.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace pkv {
namespace {

class Summary : public testing_support::TemporaryFolder {};

TEST_F(Summary, Statistics) {
  std::string text = "prompt,decode,arrival\n1,0,0\n";
  for (int i = 1; i <= 100; ++i) text += fmt::format("{},{},{}\n", 10 * (101 - i), 7, 50 + 2 * i);
  const TraceSummary summary = summarize_trace(*open_trace(write("trace", text)));
  EXPECT_EQ(summary.requests, 100);
  EXPECT_EQ(summary.skipped_rows, 1);
  EXPECT_EQ(summary.prompt_tokens.min, 10);
  EXPECT_EQ(summary.prompt_tokens.p50, 500);
  EXPECT_EQ(summary.prompt_tokens.p95, 950);
  EXPECT_EQ(summary.prompt_tokens.max, 1000);
  EXPECT_DOUBLE_EQ(summary.prompt_tokens.mean, 505.0);
  EXPECT_EQ(summary.decode_tokens.p50, 7);
  EXPECT_EQ(summary.arrival_unit, ArrivalUnit::kSteps);
  EXPECT_EQ(summary.duration, 198);
  EXPECT_DOUBLE_EQ(summary.arrival_rate, 0.5);
  EXPECT_EQ(summary.shared_prefix_fraction, 0.0);
}

TEST_F(Summary, SharedPrefixesCountFullBlocksOnly) {
  const auto source =
      open_trace(write("trace",
                       "{\"timestamp\":0,\"input_length\":1024,\"output_length\":1,\"hash_ids\":[1,2]}\n"
                       "{\"timestamp\":0,\"input_length\":1536,\"output_length\":1,\"hash_ids\":[1,2,3]}\n"
                       "{\"timestamp\":0,\"input_length\":1000,\"output_length\":1,\"hash_ids\":[1,2]}\n"));
  EXPECT_DOUBLE_EQ(summarize_trace(*source).shared_prefix_fraction, 3.0 * 512 / 3560);
}

TEST_F(Summary, OfNothing) {
  const TraceSummary summary = summarize_trace(*open_trace(write("trace", "prompt,decode\n")));
  EXPECT_EQ(summary.requests, 0);
  EXPECT_EQ(summary.prompt_tokens.max, 0);
  EXPECT_EQ(summary.arrival_rate, 0.0);
}

}  // namespace
}  // namespace pkv
