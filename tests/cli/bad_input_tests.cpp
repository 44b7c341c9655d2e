// Bad input gets a message that names the argument, the value and the bound, a non-zero exit, and nothing half-written.

#include "run_pkv.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pkv::testing {
namespace {

using ::testing::HasSubstr;

struct BadArguments {
  const char* arguments;
  int exit_code;
  const char* message;

  friend void PrintTo(const BadArguments& bad, std::ostream* out) { *out << "pkv " << bad.arguments; }
};

const BadArguments kBad[] = {
    {"", 2, "subcommand is required"},
    {"replai", 2, "there is no command 'replai'"},
    {"replay --family nope", 2, "family is 'nope', must be one of uniform, bimodal"},
    {"replay --steps -1", 2, "steps is -1, must be >= 1"},
    {"replay --steps many", 2, "--steps"},
    {"replay --num-kv-heads 5", 2, "num_q_heads is 32, must be a multiple of num_kv_heads, which is 5"},
    {"replay --num-kv-heads 0", 2, "num_kv_heads is 0, must be in [1, 65536]"},
    {"replay --head-dim 100", 4, "head_dim is 100, must be a multiple of 16 up to 512"},
    {"replay --head-dim 1099511627776", 2, "--head-dim"},
    {"replay --page-size 0", 2, "page_size is 0"},
    {"replay --dtype fp8", 2, "dtype is 'fp8', must be fp16, bf16 or fp32"},
    {"replay --routes stream,nope", 2, "route is \"nope\""},
    {"replay --splits workqueue=x", 2, "splits is 'workqueue=x', must be N or SCHEDULE=N"},
    {"replay --splits -3 --steps 1", 2, "splits is -3, must be in [0, 65536]"},
    {"replay --backend tpu", 2, "backend is 'tpu'"},
    {"replay --pages some", 2, "pages is 'some', must be fixed or allocator"},
    {"replay --hole-fraction 0.99", 2, "hole_fraction is 0.99"},
    {"replay --hole-fraction nan", 2, "hole_fraction is nan"},
    {"replay --num-kv-heads 8192 --num-q-heads 8192 --head-dim 512", 2, "the KV pool"},
    {"replay --clock profile --profile nope", 3, "nope"},
    {"replay --max-active -4", 2, "max_active is -4"},
    {"replay --trace /nonexistent.csv", 3, "/nonexistent.csv"},
    {"replay --trace /", 3, "/"},
    {"plan --lengths 10,-20 --workers 0 --lanes 0", 2, "must be in [1,"},
    {"plan --lengths 2000000000", 2, "lengths[0] is 2000000000, must be at most 1073741824"},
    {"plan --step 100000", 2, "step is 100000"},
    {"reproduce --backend cpu", 2, "backend is 'cpu', must be cuda"},
    {"reproduce --only main,nope", 2, "only is 'nope', must be one of main, counters"},
    {"reproduce --repeats 0", 2, "repeats is 0, must be in [1, 1000]"},
    {"route --backend cpu --page-size 0", 2, "page_size is 0"},
    {"route --backend cpu --head-dim 24", 4, "cpu: head_dim is 24"},
    {"route --profile /nonexistent.json", 3, "/nonexistent.json"},
    {"bench --backend cpu --pool-gib -1", 2, "pool-gib is -1"},
    {"bench --backend cpu --simd AVX9", 2, "simd_target is 'AVX9'"},
    {"report", 2, "results is required"},
    {"report results.json", 2, "--output is required"},
    {"report /nonexistent.json --output page.html", 3, "/nonexistent.json: cannot be opened"},
    {"trace describe /nonexistent.csv", 3, "/nonexistent.csv"},
    {"trace convert /nonexistent.csv out.txt", 3, "/nonexistent.csv"},
};

class BadInput : public ::testing::TestWithParam<BadArguments> {};

TEST_P(BadInput, IsRefusedAndExplained) {
  const CommandResult run = run_pkv(GetParam().arguments);
  EXPECT_EQ(run.exit_code, GetParam().exit_code) << run.output;
  EXPECT_THAT(run.output, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(Arguments, BadInput, ::testing::ValuesIn(kBad));

TEST(BadTraces, NameFileAndLineAndLeaveNothingBehind) {
  const TemporaryFolder folder;
  const struct {
    const char* name;
    std::string text;
    const char* message;
  } traces[] = {
      {"empty.csv", "", ":1: "},
      {"columns.csv", "a,b\n1,2\n", "columns.csv:1: "},
      {"nan.csv", "prompt_len,decode_len\n100,5\nnan,5\n", "nan.csv:3: "},
      {"negative.csv", "prompt_len,decode_len\n-1,5\n", "negative.csv:2: "},
      {"huge.csv", "prompt_len,decode_len\n1000000000000000000,5\n", "huge.csv:2: "},
      {"truncated.json", R"([{"prompt_len": 5, "decode_len")", "truncated.json:1: "},
      {"binary.bin",
       std::string("\x7f"
                   "ELF\0\1\2\3",
                   8),
       "binary.bin:1: "},
      {"truncated.jsonl",
       "{\"timestamp\": 0, \"input_length\": 600, \"output_length\": 5, \"hash_ids\": [0, 1]}\n{\"timest",
       "truncated.jsonl:2: "},
  };
  for (const auto& trace : traces) {
    const std::string path = folder.write(trace.name, trace.text);
    const CommandResult run = run_pkv("replay --trace " + path + kTiny + "--json " + folder.file("out.json"));
    EXPECT_EQ(run.exit_code, 3) << run.output;
    EXPECT_THAT(run.output, HasSubstr(trace.message));
    EXPECT_EQ(run_pkv("trace convert " + path + " " + folder.file("out.csv")).exit_code, 3);
    std::filesystem::remove(path);
    EXPECT_TRUE(folder.empty()) << "something half-written was left behind by " << trace.name;
  }
}

TEST(BadResults, NameFileAndMemberAndLeaveNothingBehind) {
  const TemporaryFolder folder;
  const std::string path = folder.write("other.json", R"({"schema": 2, "command": "replay"})");
  const CommandResult run = run_pkv("report " + path + " --output " + folder.file("page.html"));
  EXPECT_EQ(run.exit_code, 3) << run.output;
  EXPECT_THAT(run.output, HasSubstr("other.json: schema is 2, must be 1"));
  std::filesystem::remove(path);
  EXPECT_TRUE(folder.empty());
}

TEST(Output, ThatCannotBeWrittenIsAnError) {
  const CommandResult run = run_pkv(std::string("replay --steps 1 --check 0 --json /nonexistent/out.json") + kTiny);
  EXPECT_EQ(run.exit_code, 3);
  EXPECT_THAT(run.output, HasSubstr("/nonexistent/out.json: cannot be written"));
}

}  // namespace
}  // namespace pkv::testing
