#include "persistentkv/trace/summary.hpp"

#include "persistentkv/trace/readers.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <optional>

namespace pkv {
namespace {

/// The public traces themselves, where they are at hand.
std::optional<TraceSummary> summary_of(const char* file) {
  const char* folder = std::getenv("PKV_TRACE_DIR");
#ifdef PKV_DEFAULT_TRACE_DIR
  if (folder == nullptr) folder = PKV_DEFAULT_TRACE_DIR;
#endif
  if (folder == nullptr) return std::nullopt;
  const auto path = std::filesystem::path(folder) / file;
  if (!std::filesystem::exists(path)) return std::nullopt;
  const auto source = open_trace(path.string());
  return summarize_trace(*source);
}

TEST(PublicTraces, AzureConversation2023) {
  const auto summary = summary_of("azure_llm_conv_2023.csv");
  if (!summary) GTEST_SKIP() << "set PKV_TRACE_DIR to the folder of azure_llm_conv_2023.csv";
  EXPECT_EQ(summary->requests, 19366);
  EXPECT_EQ(summary->skipped_rows, 0);
  EXPECT_EQ(summary->duration, 3501721937);  // 18:15:46.6805900 to 19:14:08.4025270
}

TEST(PublicTraces, MooncakeConversation) {
  const auto summary = summary_of("mooncake_conversation.jsonl");
  if (!summary) GTEST_SKIP() << "set PKV_TRACE_DIR to the folder of mooncake_conversation.jsonl";
  EXPECT_EQ(summary->requests, 12031);
  EXPECT_EQ(summary->prompt_tokens.max, 126195);
  EXPECT_EQ(summary->decode_tokens.max, 2000);
  EXPECT_EQ(summary->duration, 3536999000);
}

}  // namespace
}  // namespace pkv
