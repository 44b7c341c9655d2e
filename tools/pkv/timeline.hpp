#pragma once

// `pkv timeline`: what is asked, and what does it.

#include "options.hpp"

#include <string>
#include <vector>

namespace pkv::cli {

struct TimelineOptions {
  std::string backend = "cuda";
  ShapeOptions shape;
  CutOptions cut;
  std::vector<std::string> routes{"stream", "workqueue"};
  std::vector<std::int32_t> lengths;
  std::string suite = "decode";
  std::string only = "b64-half-128-4k";
  std::vector<int> kv_heads;
  bool chained = false;
  int rounds = 9;
  int max_ctas = 0;
  std::string json;
  std::string svg;
};

/// Throws Unsupported in a build without CUDA.
void timeline_cuda(const TimelineOptions& options);

}  // namespace pkv::cli
