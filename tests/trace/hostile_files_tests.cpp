#include "persistentkv/core/error.hpp"
#include "persistentkv/core/step.hpp"
#include "persistentkv/trace/readers.hpp"
#include "support/temporary_folder.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace pkv {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class HostileFiles : public testing_support::TemporaryFolder {
 protected:
  /// The message with which a file is refused, or how many requests it gave.
  static std::string outcome(const std::string& path, TraceFormat format = TraceFormat::kAuto) {
    try {
      const auto source = open_trace(path, format);
      return fmt::format("{} requests", read_requests(*source).size());
    } catch (const IoError& error) {
      return error.what();
    }
  }

  void expect_refused(std::string_view text, int line, const testing::Matcher<std::string>& message,
                      TraceFormat format = TraceFormat::kAuto) const {
    const std::string file = write("trace", text);
    const std::string what = outcome(file, format);
    EXPECT_THAT(what, AllOf(StartsWith(fmt::format("{}:{}: ", file, line)), message)) << text.substr(0, 200);
    EXPECT_LT(what.size(), 600u + file.size());
  }
};

TEST_F(HostileFiles, TokenCounts) {
  const std::string bound = fmt::format("must be an integer in [0, {}]", kMaxRowTokens);
  for (const std::string_view bad : {"-1", "NaN", "inf", "1e18", "1.5", "1.0", "1000000000000000000", "1073741825", "",
                                     "99999999999999999999999999", "0x10", "+1", "1 2", "--1", "\x01\x02"}) {
    const auto names = [&](const char* column) { return AllOf(HasSubstr(column), HasSubstr(bound)); };
    expect_refused(fmt::format("prompt_len,decode_len\n1,1\n{},1\n", bad), 3, names("prompt_len is '"));
    expect_refused(fmt::format("prompt_len,decode\n1,1\n\n1,{}\n", bad), 4, names("decode is '"));
    expect_refused(fmt::format("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,{},1", bad), 2,
                   names("ContextTokens is '"));
    expect_refused(fmt::format("Timestamp,Model,Request tokens,Response tokens\n1,m,1,{}", bad), 2,
                   names("Response tokens is '"));
  }
  for (const std::string_view bad :
       {"-1", "1e18", "1.5", "1.0", "1000000000000000000", "1073741825", "null", "true", "\"12\"", "{}", "[]", "[1]",
        "99999999999999999999999999", "-9223372036854775809"}) {
    expect_refused(fmt::format("[{{\"prompt\":1,\"decode\":1}},\n{{\"prompt\":{},\"decode\":1}}]", bad), 2,
                   AllOf(HasSubstr("prompt is '"), HasSubstr(bound)));
    expect_refused(fmt::format("{{\"timestamp\":1,\"input_length\":1,\"output_length\":{},\"hash_ids\":[1]}}\n", bad),
                   1, AllOf(HasSubstr("output_length is '"), HasSubstr(bound)));
  }
  expect_refused("[{\"prompt\":NaN,\"decode\":1}]", 1, HasSubstr("not valid JSON"));
}

TEST_F(HostileFiles, PromptAndDecodeTogether) {
  expect_refused(fmt::format("prompt,decode\n{},2\n", kMaxRowTokens - 1), 2,
                 AllOf(HasSubstr("decode is '2'"), HasSubstr("at most 1")));
}

TEST_F(HostileFiles, Arrivals) {
  for (const std::string_view bad : {"-1", "NaN", "1e18", "0.5", "9007199254740993", "x"})
    expect_refused(fmt::format("prompt,decode,arrival\n1,1,{}\n", bad), 2,
                   AllOf(HasSubstr("arrival is '"), HasSubstr("[0, 9007199254740992]")));
  for (const std::string_view bad : {"-1", "NaN", "inf", "1e18", "x", "1,5", "-0.1"})
    expect_refused(fmt::format("Timestamp,Request tokens,Response tokens\n\"{}\",1,1\n", bad), 2,
                   AllOf(HasSubstr("Timestamp is '"), HasSubstr("a number in [0, 9007199255]")));
  expect_refused(R"({"timestamp":-1,"input_length":1,"output_length":1,"hash_ids":[1]})", 1,
                 HasSubstr("timestamp is '-1'"));
  expect_refused(R"({"timestamp":1e999,"input_length":1,"output_length":1,"hash_ids":[1]})", 1,
                 HasSubstr("not valid JSON"));
}

TEST_F(HostileFiles, Timestamps) {
  for (const std::string_view bad : {"",
                                     "2023-11-16",
                                     "18:15:46",
                                     "2023-13-16 18:15:46",
                                     "2023-02-29 18:15:46",
                                     "2023-11-16 24:15:46",
                                     "2023-11-16 18:60:46",
                                     "2023-11-16 18:15:61",
                                     "2023-11-16 18:15:46.12345678",
                                     "2023-11-16 18:15:46x",
                                     "2023-11-16 18:15:46 UTC",
                                     "2023-11-16 18:15:46+",
                                     "2023-11-16 18:15:46+1:0x",
                                     "2023/11/16 18:15:46",
                                     "2023-11-16T18:15:46ZZ",
                                     "-999-11-16 18:15:46",
                                     "20231-1-16 18:15:46",
                                     "2023-11-16 18::4516.6805900",
                                     "2023-11-16 18:15:.5000000",
                                     "2023-11-16 18:15:46..5",
                                     "1700158546.68059012345",
                                     "NaN"})
    expect_refused(fmt::format("TIMESTAMP,ContextTokens,GeneratedTokens\n{},1,1\n", bad), 2,
                   AllOf(HasSubstr("TIMESTAMP is '"), HasSubstr("must be a date and time")));
  expect_refused("TIMESTAMP,ContextTokens,GeneratedTokens\n0001-01-01 00:00:00,1,1\n9999-12-31 00:00:00,1,1\n", 3,
                 HasSubstr("us of the first request"));
}

TEST_F(HostileFiles, RowsOutOfOrder) {
  expect_refused("prompt,decode,arrival\n1,1,5\n1,1,4\n", 3, AllOf(HasSubstr("arrival is '4'"), HasSubstr("sort")));
  expect_refused("[{\"prompt\":1,\"decode\":1,\"arrival\":5},\n{\"prompt\":1,\"decode\":1}]", 2, HasSubstr("sort"));
  expect_refused("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.1,1,1\n2023-11-16 18:15:46,1,1", 3,
                 HasSubstr("sort"));
  expect_refused("Timestamp,Request tokens,Response tokens\n2,1,1\n1,1,1\n", 3, HasSubstr("sort"));
}

TEST_F(HostileFiles, Columns) {
  expect_refused("prompt_len,arrival\n1,1\n", 1, HasSubstr("decode_len (or decode) is missing"));
  expect_refused("decode\n1\n", 1, HasSubstr("prompt_len (or prompt) is missing"));
  expect_refused("prompt,decode,prompt\n1,1,1\n", 1, HasSubstr("'prompt' stands in the header twice"));
  expect_refused("prompt,decode,prompt_len\n1,1,1\n", 1, HasSubstr("both prompt_len and prompt"));
  expect_refused("prompt,decode,arrival,arrival_us\n1,1,1,1\n", 1, HasSubstr("both arrival and arrival_us"));
  expect_refused("TIMESTAMP,GeneratedTokens\n1,1\n", 1, HasSubstr("column ContextTokens is missing"));
  expect_refused("Timestamp,Model,Request tokens\n1,m,1\n", 1, HasSubstr("column Response tokens is missing"));
  expect_refused("prompt,decode\n1\n", 2, HasSubstr("fewer columns"));
  expect_refused("prompt,decode\n1,1,1\n", 2, HasSubstr("more columns"));
  expect_refused("prompt,decode,x\n1,1,\"a\n", 2, HasSubstr("quote"));
  expect_refused("prompt,decode,\"x\n1,1,1\n", 1, HasSubstr("quote"));
  expect_refused("a,b\n1,1\n", 1, HasSubstr("must start with a header"));
  expect_refused("a,b\n1,1\n", 1, HasSubstr("is missing"), TraceFormat::kPlainCsv);
  expect_refused("[{\"prompt\":1,\"decode\":1},\n{\"prompt\":1}]", 2, HasSubstr("decode_len (or decode) is missing"));
  expect_refused("[{\"prompt\":1,\"prompt\":1,\"decode\":1}]", 1, HasSubstr("prompt is given twice"));
  expect_refused("[{\"prompt\":1,\"prompt_len\":1,\"decode\":1}]", 1, HasSubstr("both prompt_len and prompt"));
  expect_refused("[{\"prompt\":1,\"decode\":1,\"arrival\":1},\n{\"prompt\":1,\"decode\":1,\"arrival_us\":1}]", 2,
                 HasSubstr("steps in one row"));
  expect_refused(R"({"timestamp":1,"input_length":1,"output_length":1})", 1, HasSubstr("hash_ids is missing"));
  expect_refused(R"({"prompt_len":1,"decode_len":1})", 1, HasSubstr("timestamp is missing"));
}

TEST_F(HostileFiles, HashIds) {
  const auto refused = [&](int prompt, std::string_view ids, const char* message) {
    expect_refused(
        fmt::format("{{\"timestamp\":1,\"input_length\":{},\"output_length\":1,\"hash_ids\":{}}}", prompt, ids), 1,
        HasSubstr(message));
  };
  refused(512, "[]", "hash_ids has 0 entries, must have 1");
  refused(512, "[1,2]", "hash_ids has 2 entries, must have 1");
  refused(513, "[1]", "hash_ids has 1 entries, must have 2");
  refused(512, "[-1]", "hash_ids[0] is '-1', must be an integer");
  refused(513, "[1,1.5]", "hash_ids[1] is '1.5'");
  refused(512, "[1e18]", "hash_ids[0] is '1e18'");
  refused(512, "[9223372036854775808]", "hash_ids[0] is '9223372036854775808'");
  refused(512, "[[1]]", "hash_ids[0] is '[...]'");
  refused(512, "[{}]", "hash_ids[0] is '{...}'");
  refused(512, "[\"1\"]", "hash_ids[0] is");
  refused(512, "null", "hash_ids is 'null', must be a list");
  refused(512, "5", "hash_ids is '5', must be a list");
  refused(512, "{}", "hash_ids is '{...}', must be a list");
}

TEST_F(HostileFiles, BrokenJson) {
  const std::string row = R"({"prompt":1,"decode":1})";
  for (const char* const end : {"", ",", " "}) expect_refused("[" + row + end, 1, HasSubstr("must end with ']'"));
  expect_refused("[" + row + ",\n", 2, HasSubstr("must end with ']'"));
  expect_refused("[", 1, HasSubstr("must end with ']'"));
  expect_refused("[" + row + "]]", 1, HasSubstr("goes on after"));
  expect_refused("[" + row + row + "]", 1, HasSubstr("must have ',' or ']'"));
  expect_refused("[," + row + "]", 1, HasSubstr("must have an object"));
  expect_refused("[" + row + ",]", 1, HasSubstr("must have an object"));
  expect_refused("[1]", 1, HasSubstr("must have an object"));
  expect_refused("[[1]]", 1, HasSubstr("must have an object"));
  expect_refused("[" + row + ",{\"prompt\":", 1, HasSubstr("not valid JSON"));
  expect_refused("[\n{\"a\":\"\xff\"}]", 2, HasSubstr("not valid JSON"));
  expect_refused("{\"prompt\":1,\"decode\":1}", 1, HasSubstr("must start with '['"), TraceFormat::kPlainJson);
  expect_refused("{\"timestamp\":1,\n", 1, HasSubstr("not valid JSON"));
  expect_refused("5\n", 1, HasSubstr("must be an object"), TraceFormat::kMooncake);
  expect_refused("[]\n", 1, HasSubstr("must be an object"), TraceFormat::kMooncake);
  expect_refused("{}{}\n", 1, HasSubstr("not valid JSON"), TraceFormat::kMooncake);
}

TEST_F(HostileFiles, DeepNesting) {
  const std::string deep = std::string(1'000'000, '[');
  expect_refused("[{\"x\":" + deep, 1, HasSubstr("not valid JSON"));
  EXPECT_EQ(outcome(write("deep", "[{\"x\":" + deep + std::string(deep.size(), ']') + ",\"prompt\":1,\"decode\":1}]")),
            "1 requests");
}

TEST_F(HostileFiles, Empty) {
  for (const char* const text : {"", "\n\n", "\xEF\xBB\xBF", " \r\n"}) {
    expect_refused(text, 1, HasSubstr("is empty"));
    for (const auto format :
         {TraceFormat::kPlainCsv, TraceFormat::kAzure, TraceFormat::kBurstGpt, TraceFormat::kPlainJson})
      EXPECT_THAT(outcome(write("trace", text), format), StartsWith(path("trace") + ":"));
  }
}

TEST_F(HostileFiles, NoTextFile) {
  EXPECT_THAT(outcome(folder_.string()), AllOf(StartsWith(folder_.string() + ":1: "), HasSubstr("directory")));
  EXPECT_THAT(outcome(path("absent")), AllOf(StartsWith(path("absent:1: ")), HasSubstr("cannot be opened")));
  EXPECT_THAT(outcome("/dev/zero", TraceFormat::kPlainCsv), HasSubstr("zero byte"));
  expect_refused(std::string("prompt,decode\n1,1\n1,\0001\n", 22), 3, HasSubstr("zero byte"));
  expect_refused(std::string("[{\"prompt\":1,\n\0", 15), 2, HasSubstr("zero byte"));
  if (::geteuid() != 0) {
    const std::string file = write("secret", "prompt,decode\n");
    std::filesystem::permissions(file, std::filesystem::perms::none);
    EXPECT_THAT(outcome(file), AllOf(StartsWith(file + ":1: "), HasSubstr("Permission denied")));
  }
}

TEST_F(HostileFiles, RandomBytes) {
  for (int round = 0; round < 50; ++round) {
    const std::uint32_t seed = std::random_device{}();
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    std::string bytes(1 + random() % 300, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    const std::string file = write("noise", bytes);
    for (int format = 0; format <= static_cast<int>(TraceFormat::kMooncake); ++format) {
      const std::string what = outcome(file, static_cast<TraceFormat>(format));
      EXPECT_TRUE(what.starts_with(file + ":") || what == "0 requests") << what;
    }
  }
}

TEST_F(HostileFiles, EndlessLines) {
  const std::string endless(17u << 20, '1');
  expect_refused("prompt,decode\n1,1\n1," + endless, 3, HasSubstr("too long"));
  expect_refused("prompt,decode," + endless + "\n1,1,1\n", 1, HasSubstr("too long"));
  expect_refused("[{\"prompt\":1,\"decode\":\n" + endless + "}]", 2, HasSubstr("too long"));
  expect_refused("{\"timestamp\":" + endless + "}", 1, HasSubstr("too long"));
  expect_refused("[" + std::string(17u << 20, ' ') + "]", 1, HasSubstr("too long"));
  expect_refused(endless, 1, HasSubstr("must start with"));
  expect_refused("prompt,decode\n1," + endless.substr(0, 1u << 20), 2, HasSubstr("(1048576 bytes)"));
}

}  // namespace
}  // namespace pkv
