#include "persistentkv/trace/readers.hpp"
#include "support/temporary_folder.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

namespace pkv {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
constexpr bool kSanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool kSanitized = false;
#endif

constexpr std::int64_t kMaxGrowthMib = 100;
constexpr std::size_t kFileBytes =
    kSanitized ? 5u << 20 : 50u << 20;  // sanitizers are slow and hold on to freed memory

std::int64_t peak_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

class Memory : public testing_support::TemporaryFolder {
 protected:
  /// Reads a file of kFileBytes made of `row`, over and over.
  void expect_little_memory(const std::string& begin, const std::string& row, const std::string& end) {
    {
      std::ofstream file(path("big"), std::ios::binary);
      file << begin;
      for (std::size_t bytes = 0; bytes < kFileBytes; bytes += row.size()) file << row;
      file << end;
    }
    const std::int64_t before = peak_mib();
    const auto source = open_trace(path("big"));
    std::size_t requests = 0;
    Request request;
    while (source->next(request)) ++requests;
    EXPECT_GE(requests, kFileBytes / row.size());
    EXPECT_LE(peak_mib() - before, kMaxGrowthMib);
  }
};

TEST_F(Memory, Csv) { expect_little_memory("prompt_len,decode_len,arrival\n", "120000,1000,123456789012\n", ""); }

TEST_F(Memory, JsonList) {
  expect_little_memory(
      "[", "{\"prompt_len\":1,\"decode_len\":1,\"arrival\":7,\"note\":\"0123456789012345678901234567890\"},\n",
      "{\"prompt_len\":1,\"decode_len\":1,\"arrival\":7}]");
}

TEST_F(Memory, JsonLines) {
  std::string ids = "1";
  for (int i = 1; i < 100; ++i) ids += ",123456";
  expect_little_memory("", "{\"timestamp\":1,\"input_length\":51200,\"output_length\":1,\"hash_ids\":[" + ids + "]}\n",
                       "");
}

}  // namespace
}  // namespace pkv
