#include "persistentkv/trace/writers.hpp"

#include "persistentkv/core/error.hpp"
#include "persistentkv/trace/families.hpp"
#include "persistentkv/trace/readers.hpp"
#include "support/temporary_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pkv {
namespace {

void expect_same(const std::vector<Request>& a, const std::vector<Request>& b, bool prefixes) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].prompt_tokens, b[i].prompt_tokens);
    EXPECT_EQ(a[i].decode_tokens, b[i].decode_tokens);
    EXPECT_EQ(a[i].arrival, b[i].arrival);
    if (prefixes) {
      EXPECT_EQ(a[i].prefix_block_ids, b[i].prefix_block_ids);
    }
  }
}

class Writers : public testing_support::TemporaryFolder {
 protected:
  [[nodiscard]] std::size_t files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder_), {}));
  }
  const std::string mooncake_ =
      "{\"timestamp\":5,\"input_length\":600,\"output_length\":2,\"hash_ids\":[3,4]}\n"
      "{\"timestamp\":7,\"input_length\":512,\"output_length\":9,\"hash_ids\":[3]}\n";
};

TEST_F(Writers, FamiliesComeBack) {
  const FamilyOptions options{TraceFamily::kZipf, 5, 100, 3};
  const auto requests = generate_requests(options);
  EXPECT_EQ(write_trace_csv(*make_family_source(options), path("a")).requests, 100);
  EXPECT_EQ(write_trace_json(*make_family_source(options), path("b")).requests, 100);
  for (const char* const name : {"a", "b"}) {
    const auto source = open_trace(path(name));
    expect_same(read_requests(*source), requests, true);
    EXPECT_EQ(source->arrival_unit(), ArrivalUnit::kSteps);
  }
  EXPECT_EQ(files(), 2u);
}

TEST_F(Writers, TimesAndPrefixesComeBack) {
  const std::string from = write("mooncake", mooncake_);
  const auto requests = read_requests(*open_trace(from));
  EXPECT_EQ(write_trace_json(*open_trace(from), path("json")).dropped_prefixes, 0);
  EXPECT_EQ(write_trace_csv(*open_trace(from), path("csv")).dropped_prefixes, 2);
  expect_same(read_requests(*open_trace(path("json"))), requests, true);
  expect_same(read_requests(*open_trace(path("csv"))), requests, false);
  for (const char* const name : {"json", "csv"})
    EXPECT_EQ(open_trace(path(name))->arrival_unit(), ArrivalUnit::kMicroseconds);
}

TEST_F(Writers, AnErrorLeavesEverythingAsItWas) {
  const std::string bad = write("bad", mooncake_ + "{}\n");
  const std::string old = write("old", "precious");
  for (const auto writer : {write_trace_csv, write_trace_json}) {
    EXPECT_THROW((void)writer(*open_trace(bad), old), IoError);
    EXPECT_THROW((void)writer(*open_trace(bad), path("new")), IoError);
    EXPECT_EQ(read(old), "precious");
    EXPECT_EQ(files(), 2u);
    const std::string good = write("good", mooncake_);
    EXPECT_THROW((void)writer(*open_trace(good), folder_.string()), IoError);
    EXPECT_THROW((void)writer(*open_trace(good), path("absent/file")), IoError);
    std::filesystem::remove(good);
  }
}

TEST_F(Writers, ReplacesAFileBehindItsLink) {
  const std::string from = write("from", mooncake_);
  const std::string target = write("target", "old");
  std::filesystem::create_symlink(target, path("link"));
  write_trace_csv(*open_trace(from), path("link"));
  EXPECT_TRUE(std::filesystem::is_symlink(path("link")));
  EXPECT_THAT(read(target), testing::StartsWith("prompt_len,decode_len,arrival_us\n600,2,0\n"));
}

TEST_F(Writers, AnEmptyTraceComesBackEmpty) {
  const std::string from = write("from", "prompt,decode\n");
  write_trace_json(*open_trace(from), path("json"));
  write_trace_csv(*open_trace(from), path("csv"));
  EXPECT_TRUE(read_requests(*open_trace(path("json"))).empty());
  EXPECT_TRUE(read_requests(*open_trace(path("csv"))).empty());
}

}  // namespace
}  // namespace pkv
