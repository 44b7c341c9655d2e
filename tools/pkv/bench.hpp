#pragma once

// `pkv bench`: what both backends are asked, and what does it for each.

#include "options.hpp"

#include <string>
#include <vector>

namespace pkv::cli {

struct BenchOptions {
  std::string backend = "cpu";
  ShapeOptions shape;
  CutOptions cut;
  std::vector<std::string> dtypes{"fp16"};
  std::vector<std::int32_t> lengths;
  std::vector<std::string> routes{"stream"};
  int rounds = 0;  ///< 0: the backend's own
  std::string json;

  // CPU
  std::vector<std::string> simd{"best"};
  int threads = 0;
  double pool_gib = 2.0;

  // CUDA
  std::string suite = "decode";
  std::string only;  ///< workloads whose name contains it
  std::vector<int> kv_heads;
  std::string chained = "both";
  int processes = 1;
  int max_ctas = 0;
  int max_warps = 0;
  int max_shared_kib = 0;
};

void bench_cpu(const BenchOptions& options);
/// Throws Unsupported in a build without CUDA.
void bench_cuda(const BenchOptions& options);

}  // namespace pkv::cli
