// The paper's structural counters come out of the plans that this library makes.

#include "fake_bench.hpp"
#include "report/json_file.hpp"
#include "reproduce/reproduce.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pkv::reproduce::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

Output run(Bench& bench, std::string& text) {
  Output output;
  output.results = {{"rows", nlohmann::ordered_json::array()}};
  output.print = [&](const std::string& section) { text += section; };
  reproduce({.only = {"counters"}}, bench, output);
  return output;
}

TEST(Counters, AreThePapers) {
  FakeBench bench;
  std::string text;
  const Output output = run(bench, text);
  EXPECT_THAT(output.problems, IsEmpty()) << text;
  EXPECT_THAT(output.results["counters"], SizeIs(15));
  for (const auto& row : output.results["counters"]) EXPECT_TRUE(row["as_published"].get<bool>()) << row;
  EXPECT_THAT(text, HasSubstr("24285 ="));
  EXPECT_THAT(text, Not(HasSubstr("("))) << "a figure that differs";
}

/// A kernel that counts one launch too many.
class OneMore final : public FakeBench {
 public:
  ExecutedCounters run(const RouteSpec& spec) override {
    ExecutedCounters executed = FakeBench::run(spec);
    ++executed.launches;
    return executed;
  }
};

TEST(Counters, ThatDifferAreAProblem) {
  OneMore bench;
  std::string text;
  const Output output = run(bench, text);
  EXPECT_THAT(output.problems, SizeIs(15));
  EXPECT_THAT(output.problems.front(), HasSubstr("bucketed-b1 seed 20260623 by sequence-split 32"));
  EXPECT_THAT(text, HasSubstr("17.00 (16.00)"));
}

}  // namespace
}  // namespace pkv::reproduce::testing
