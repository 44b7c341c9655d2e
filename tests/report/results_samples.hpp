#pragma once

// Results of each kind, as small as they can be, and files of them.

#include "report/page/results_file.hpp"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace pkv::report::testing {

inline nlohmann::json sample(const char* command, nlohmann::json row) {
  const nlohmann::json shape = {{"workload", "b1-8k"}, {"route", "stream"}, {"num_q_heads", 32}, {"num_kv_heads", 8},
                                {"head_dim", 128},     {"dtype", "fp16"},   {"page_size", 16},   {"plan_us", 0.5}};
  row.update(shape);
  return {{"schema", 1},
          {"command", command},
          {"machine",
           {{"cpu", "a CPU"}, {"gpu", nullptr}, {"version", "0.1.0"}, {"commit", "abc1234"}, {"date", "2026-11-26"}}},
          {"rows", {row}}};
}

inline nlohmann::json cuda_bench_sample() {
  nlohmann::json json = sample(
      "bench", {{"pdl", true}, {"kv_bytes", 32 << 20}, {"time_us", 12.5}, {"limit_us", 10.0}, {"time_worst_us", 13.0}});
  json["machine"]["gpu"] = {{"name", "a GPU"}, {"num_sms", 132}};
  json["method"] = "graph replay";
  return json;
}

inline nlohmann::json cpu_bench_sample() {
  return sample("bench", {{"simd", "AVX2"},
                          {"kv_bytes", 32 << 20},
                          {"time_us", 4000.0},
                          {"limit_us", 3000.0},
                          {"decode_gbps", 9.0},
                          {"reader_pages_gbps", 11.0},
                          {"reader_contiguous_gbps", 12.0},
                          {"reader_non_temporal_gbps", 10.0}});
}

inline nlohmann::json replay_sample() {
  return sample("replay", {{"kv_bytes", 40e6},
                           {"time_us", 50.0},
                           {"time_p50_us", 49.0},
                           {"time_p95_us", 57.0},
                           {"time_p99_us", 58.0},
                           {"limit_us", 40.0},
                           {"tokens_per_s", 150000.0}});
}

/// A folder that goes away with the test.
class Folder {
 public:
  Folder() : path_(std::filesystem::temp_directory_path() / ("pkv-report-" + std::to_string(getpid()))) {
    std::filesystem::create_directories(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  [[nodiscard]] std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return (path_ / name).string();
  }
  [[nodiscard]] ResultsFile read(const std::string& name, const nlohmann::json& json) const {
    return read_results(write(name, json.dump()));
  }

 private:
  std::filesystem::path path_;
};

}  // namespace pkv::report::testing
