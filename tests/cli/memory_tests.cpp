#include "run_pkv.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <nlohmann/json.hpp>

#include <cstdint>

namespace pkv::testing {
namespace {

/// Most memory that a run of pkv ever held, or -1 where it failed. Its output is thrown away.
std::int64_t peak_bytes_of_pkv(const std::string& arguments) {
  const std::string command = "exec " + std::string(PKV_BINARY) + " " + arguments + " >/dev/null";
  const pid_t child = fork();
  if (child == 0) {
    execl("/bin/sh", "sh", "-c", command.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  int status = 0;
  rusage usage{};
  if (wait4(child, &status, 0, &usage) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) return -1;
  return std::int64_t{usage.ru_maxrss} * 1024;
}

TEST(Memory, ReplayTakesItsPoolAndLessThan100Mb) {
  if (PKV_SANITIZED != 0) GTEST_SKIP() << "sanitizers take memory of their own";
  const TemporaryFolder folder;
  const std::string file = folder.file("out.json");
  // The pool is a quarter of the main workload's; a second copy of it would still be far too much.
  const std::int64_t peak = peak_bytes_of_pkv("replay --steps 12 --num-q-heads 8 --num-kv-heads 2 --json " + file);
  ASSERT_GT(peak, 0);
  std::ifstream stream(file);
  const nlohmann::json json = nlohmann::json::parse(stream);
  const nlohmann::json& row = json.at("rows").at(0);
  ASSERT_EQ(row["dtype"], "fp16");
  const std::int64_t pool = 2 * row["physical_pages"].get<std::int64_t>() * row["page_size"].get<std::int64_t>() *
                            row["num_kv_heads"].get<std::int64_t>() * row["head_dim"].get<std::int64_t>() * 2;
  EXPECT_GT(pool, 300'000'000);
  EXPECT_GE(peak, pool) << "the pool was not filled, or this does not measure it";
  EXPECT_LT(peak, pool + 100'000'000);
  RecordProperty("beside_the_pool_bytes", std::to_string(peak - pool));
}

}  // namespace
}  // namespace pkv::testing
