#include "persistentkv/core/error.hpp"
#include "persistentkv/core/step.hpp"
#include "persistentkv/measure/suite.hpp"
#include "support/thrown.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace pkv {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing_support::thrown_by;

std::string refusal(const std::string& json) {
  return thrown_by<IoError>([&] { (void)parse_suite(json, "s.json"); });
}

TEST(SuiteJson, KeepsTheOrderOfTheText) {
  EXPECT_THAT(parse_suite(R"({"z": [3, 0, 1073741824], "a": [1], "m": [ 2,2 ]})", "s"),
              ElementsAre(Workload{"z", {3, 0, 1 << 30}}, Workload{"a", {1}}, Workload{"m", {2, 2}}));
}

TEST(SuiteJson, TheWholeSuiteMustBeAnObjectOfArrays) {
  EXPECT_EQ(refusal("[1, 2]"), "s.json:1: the suite is an array, must be an object of arrays");
  EXPECT_EQ(refusal("-7"), "s.json:1: the suite is -7, must be an object of arrays");
  EXPECT_EQ(refusal("\n\nnull"), "s.json:3: the suite is null, must be an object of arrays");
  EXPECT_EQ(refusal("{}"), "s.json:1: the suite has no workload, must have at least 1");
  EXPECT_EQ(refusal("{\n\"a\": 4096\n}"), "s.json:2: \"a\" is 4096, must be an array of lengths");
  EXPECT_EQ(refusal(R"({"a": {"b": [1]}})"), "s.json:1: \"a\" is an object, must be an array of lengths");
  EXPECT_EQ(refusal(R"({"a": "x"})"), "s.json:1: \"a\" is \"x\", must be an array of lengths");
  EXPECT_EQ(refusal(R"({"a": []})"), "s.json:1: \"a\" has 0 rows, must have at least 1");
  EXPECT_EQ(refusal(R"({"a": [0, 0]})"), "s.json:1: \"a\" has 2 rows of 0 tokens, one at least must have more");
}

TEST(SuiteJson, LengthsAreWholeNumbersWithinBounds) {
  const auto expect = [](const std::string& value, const std::string& said) {
    EXPECT_EQ(refusal("{\"a\": [1],\n \"b\": [5, " + value + "\n]}"), "s.json:2: \"b\"[1] is " + said);
  };
  expect("-1", "-1, must be in [0, 1073741824] tokens");
  expect("1073741825", "1073741825, must be in [0, 1073741824] tokens");
  expect("4294967296", "4294967296, must be in [0, 1073741824] tokens");
  expect("18446744073709551615", "18446744073709551615, must be in [0, 1073741824] tokens");
  expect("-9223372036854775808", "-9223372036854775808, must be in [0, 1073741824] tokens");
  expect("18446744073709551616", "18446744073709551616, must be a whole number of tokens");
  expect("1.5", "1.5, must be a whole number of tokens");
  expect("1e3", "1e3, must be a whole number of tokens");
  expect("true", "true, must be a whole number of tokens");
  expect("null", "null, must be a whole number of tokens");
  expect("\"7\"", "\"7\", must be a whole number of tokens");
  expect("[7]", "an array, must be a whole number of tokens");
  expect("{}", "an object, must be a whole number of tokens");
}

TEST(SuiteJson, NamesAreShortAndGivenOnce) {
  EXPECT_EQ(refusal("{\"a\": [1],\n\"b\": [1],\n\"a\": [2]}"), "s.json:3: \"a\" is given twice, must be given once");
  EXPECT_EQ(refusal(R"({"": [1]})"), "s.json:1: the name \"\" has 0 bytes, must have 1 to 100");
  EXPECT_EQ(parse_suite("{\"" + std::string(100, 'n') + "\": [1]}", "s").size(), 1U);
  EXPECT_EQ(refusal("{\"" + std::string(5000, 'n') + "\": [1]}"),
            "s.json:1: the name \"" + std::string(100, 'n') + "\"... has 5000 bytes, must have 1 to 100");
}

TEST(SuiteJson, TextThatIsNoJson) {
  for (const char* text :
       {"", " ", "{", "{\"a\"", "{\"a\":", "{\"a\": [1", "{\"a\": [1,]}", "{\"a\": [1]} x", "{'a': [1]}",
        "{\"a\": [1]}{}", "{\"a\": [01]}", "{\"a\": [NaN]}", "\xff\xfe", "{\"\xff\": [1]}"}) {
    EXPECT_THAT(refusal(text), testing::StartsWith("s.json:1: not valid JSON: ")) << text;
  }
  EXPECT_THAT(refusal(std::string("{\"a\": [1\0]}", 11)), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal("{\"a\":\n[1,\n2,\n}"), testing::StartsWith("s.json:4: not valid JSON"));
}

TEST(SuiteJson, HostileText) {
  const std::string deep(1 << 20, '[');
  EXPECT_EQ(refusal(deep), "s.json:1: the suite is an array, must be an object of arrays");
  EXPECT_EQ(refusal("{\"a\": " + deep), "s.json:1: \"a\"[0] is an array, must be a whole number of tokens");
  EXPECT_LT(refusal("{\"a\": [\"" + std::string(1 << 20, 'x')).size(), 500U);
  EXPECT_LT(refusal("{\"a\": [\"" + std::string(1 << 20, 'x') + "\"]}").size(), 500U);
  EXPECT_LT(refusal("{\"a\": [0." + std::string(1 << 20, '1') + "]}").size(), 500U);
  EXPECT_EQ(refusal("{\"a\\u001b[2J\": [-1]}"),
            "s.json:1: \"a\\u001b[2J\"[0] is -1, must be in [0, 1073741824] tokens");

  std::string rows = "{\"a\": [1";
  for (std::int64_t row = 1; row < kMaxBatch; ++row) rows += ",1";
  EXPECT_EQ(parse_suite(rows + "]}", "s").front().lengths.size(), static_cast<std::size_t>(kMaxBatch));
  EXPECT_EQ(refusal(rows + ",1]}"), "s.json:1: \"a\" has more than 1048576 rows, must have at most that");
}

}  // namespace
}  // namespace pkv
