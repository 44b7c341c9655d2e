#include "persistentkv/trace/readers.hpp"

#include "persistentkv/core/error.hpp"
#include "persistentkv/core/step.hpp"
#include "support/temporary_folder.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <tuple>

namespace pkv {
namespace {

using Triple = std::tuple<std::int64_t, std::int64_t, std::int64_t>;  // prompt, decode, arrival
using Ids = std::vector<std::int64_t>;
using testing::ElementsAre;

class Readers : public testing_support::TemporaryFolder {
 protected:
  /// Reads `text` from a file whose name says nothing about its format, as which it must be recognised.
  std::vector<Triple> rows(std::string_view text, TraceFormat expected, std::int64_t skipped = 0) {
    const auto source = open_trace(write("trace", text));
    EXPECT_THAT(source->name(), testing::EndsWith(fmt::format("({})", to_string(expected))));
    std::vector<Triple> result;
    prefixes_.clear();
    for (const Request& r : read_requests(*source)) {
      result.emplace_back(r.prompt_tokens, r.decode_tokens, r.arrival);
      prefixes_.push_back(r.prefix_block_ids);
    }
    EXPECT_EQ(source->skipped_rows(), skipped);
    unit_ = source->arrival_unit();
    return result;
  }

  std::vector<Ids> prefixes_;
  ArrivalUnit unit_{};
};

TEST_F(Readers, PlainCsv) {
  EXPECT_THAT(rows("prompt_len,decode_len,arrival\n10,2,0\n20,3,5\n", TraceFormat::kPlainCsv),
              ElementsAre(Triple{10, 2, 0}, Triple{20, 3, 5}));
  EXPECT_EQ(unit_, ArrivalUnit::kSteps);
  EXPECT_THAT(rows("x,arrival_step, decode ,\"prompt\"\n\"a,b\",7,2, 10 \n\n,7,3,\"20\"", TraceFormat::kPlainCsv),
              ElementsAre(Triple{10, 2, 7}, Triple{20, 3, 7}));
  EXPECT_THAT(rows("prompt,decode,arrival_us\n1,1,1000000\n", TraceFormat::kPlainCsv),
              ElementsAre(Triple{1, 1, 1000000}));
  EXPECT_EQ(unit_, ArrivalUnit::kMicroseconds);
  EXPECT_THAT(rows("prompt,decode\n", TraceFormat::kPlainCsv), ElementsAre());
}

TEST_F(Readers, ArrivalIsTheRowsIndexByDefault) {
  EXPECT_THAT(rows("prompt,decode\n1,1\n1,0\n3,3\n", TraceFormat::kPlainCsv, 1),
              ElementsAre(Triple{1, 1, 0}, Triple{3, 3, 2}));
  EXPECT_THAT(
      rows(R"([{"prompt":1,"decode":1},{"prompt":0,"decode":1},{"prompt":3,"decode":3}])", TraceFormat::kPlainJson, 1),
      ElementsAre(Triple{1, 1, 0}, Triple{3, 3, 2}));
}

TEST_F(Readers, ByteOrderMarkAndLineEnds) {
  for (const std::string_view mark : {"", "\xEF\xBB\xBF"}) {
    for (const std::string_view end : {"\n", "\r\n"}) {
      for (const std::string_view last : {std::string_view{}, end}) {
        EXPECT_THAT(
            rows(fmt::format("{}prompt_len,decode_len{}1,2{}3,4{}", mark, end, end, last), TraceFormat::kPlainCsv),
            ElementsAre(Triple{1, 2, 0}, Triple{3, 4, 1}));
        EXPECT_THAT(rows(fmt::format("{}[{}{{\"prompt_len\":1,\"decode_len\":2}}{}]{}", mark, end, end, last),
                         TraceFormat::kPlainJson),
                    ElementsAre(Triple{1, 2, 0}));
        const std::string row = R"({"timestamp":3,"input_length":1,"output_length":2,"hash_ids":[4]})";
        EXPECT_THAT(rows(fmt::format("{}{}{}{}{}", mark, row, end, row, last), TraceFormat::kMooncake),
                    ElementsAre(Triple{1, 2, 0}, Triple{1, 2, 0}));
      }
    }
  }
}

TEST_F(Readers, LongFileWithoutALastEndOfLine) {
  // Lines of 64 bytes through blocks of 2^24: where the file ends, the CSV library's buffer still has an end of line.
  const auto line = [](const char* text) { return fmt::format("{:<63}\n", text); };
  constexpr std::size_t kLines = (std::size_t{3} << 24) / 64 + 1000;
  std::string text = line("prompt,decode");
  while (text.size() < kLines * 64) text += line("1,1");
  text.pop_back();
  const auto source = open_trace(write("trace", text));
  std::size_t requests = 0;
  Request request;
  while (source->next(request)) ++requests;
  EXPECT_EQ(requests, kLines - 1);
}

TEST_F(Readers, PlainJson) {
  EXPECT_THAT(rows(R"( [ {"prompt_len": 1, "decode_len": 2, "arrival": 9, "note": {"a": [1, {"prompt": 3}]}} ,
                       {"decode": 4, "prompt": 3, "arrival_step": 9, "tags": [[], "x"]}]
                   )",
                   TraceFormat::kPlainJson),
              ElementsAre(Triple{1, 2, 9}, Triple{3, 4, 9}));
  EXPECT_THAT(rows("[]", TraceFormat::kPlainJson), ElementsAre());
  EXPECT_THAT(rows(R"([{"prompt":513,"decode":1,"arrival_us":5,"prefix_block_ids":[7,8]},
                       {"prompt":1,"decode":1,"arrival_us":6}])",
                   TraceFormat::kPlainJson),
              ElementsAre(Triple{513, 1, 5}, Triple{1, 1, 6}));
  EXPECT_EQ(unit_, ArrivalUnit::kMicroseconds);
  EXPECT_THAT(prefixes_, ElementsAre(Ids{7, 8}, Ids{}));
}

TEST_F(Readers, Azure2023) {
  EXPECT_THAT(rows("TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:15:46.6805900,374,44\r\n"
                   "2023-11-16 18:15:50.9951690,396,109\r\n2023-11-17 18:15:46.6805909,0,5",
                   TraceFormat::kAzure, 1),
              ElementsAre(Triple{374, 44, 0}, Triple{396, 109, 4314579}));
  EXPECT_EQ(unit_, ArrivalUnit::kMicroseconds);
}

TEST_F(Readers, Azure2024) {
  EXPECT_THAT(rows("TIMESTAMP,ContextTokens,GeneratedTokens\n2024-02-28 23:59:59.999999+00:00,1,1\n"
                   "2024-02-29 00:00:00+00:00,2,2\n2024-03-01T00:00:00Z,3,3\n2024-03-01T02:00:00.5+01:30,4,4\n"
                   "2024-02-29 23:30:01-01:00,5,5\n",
                   TraceFormat::kAzure),
              ElementsAre(Triple{1, 1, 0}, Triple{2, 2, 1}, Triple{3, 3, 86400'000001}, Triple{4, 4, 88200'500001},
                          Triple{5, 5, 88201'000001}));
}

TEST_F(Readers, BurstGpt) {
  EXPECT_THAT(rows("Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,472,18,490,"
                   "Conversation log\n45.25,GPT-4,1087,0,1087,API log\n118.000001,GPT-4,417,276,693,API log\n",
                   TraceFormat::kBurstGpt, 1),
              ElementsAre(Triple{472, 18, 0}, Triple{417, 276, 113000001}));
}

TEST_F(Readers, Mooncake) {
  EXPECT_THAT(rows(R"({"timestamp": 27, "input_length": 1025, "output_length": 3, "hash_ids": [0, 1, 2]})"
                   "\n\n"
                   R"({"hash_ids": [], "timestamp": 28, "input_length": 0, "output_length": 3})"
                   "\n"
                   R"({"timestamp": 30.5, "input_length": 512, "output_length": 4, "hash_ids": [9223372036854775807]})",
                   TraceFormat::kMooncake, 1),
              ElementsAre(Triple{1025, 3, 0}, Triple{512, 4, 3500}));
  EXPECT_THAT(prefixes_, ElementsAre(Ids{0, 1, 2}, Ids{INT64_MAX}));
}

TEST_F(Readers, TheLongestRow) {
  EXPECT_THAT(
      rows(fmt::format("prompt,decode,arrival\n{},1,{}\n", kMaxRowTokens - 1, kMaxArrival), TraceFormat::kPlainCsv),
      ElementsAre(Triple{kMaxRowTokens - 1, 1, kMaxArrival}));
}

TEST_F(Readers, NextReusesTheRequest) {
  const auto source = open_trace(write("trace", "prompt,decode\n1,2\n"));
  Request request{5, 5, 5, {1, 2, 3}};
  ASSERT_TRUE(source->next(request));
  EXPECT_THAT(request.prefix_block_ids, testing::IsEmpty());
  EXPECT_FALSE(source->next(request));
  EXPECT_FALSE(source->next(request));
}

TEST_F(Readers, ReadRequestsStopsAtTheLimit) {
  const auto source = open_trace(write("trace", "prompt,decode\n1,1\n2,2\nbad,3\n"));
  EXPECT_EQ(read_requests(*source, 2).size(), 2u);
}

TEST_F(Readers, FormatNamesRoundTrip) {
  for (const auto format : {TraceFormat::kAuto, TraceFormat::kPlainCsv, TraceFormat::kPlainJson, TraceFormat::kAzure,
                            TraceFormat::kBurstGpt, TraceFormat::kMooncake})
    EXPECT_EQ(parse_trace_format(to_string(format)), format);
  EXPECT_THROW((void)parse_trace_format("parquet"), InvalidArgument);
}

}  // namespace
}  // namespace pkv
