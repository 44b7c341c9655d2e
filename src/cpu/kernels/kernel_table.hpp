#pragma once

// The kernels, compiled once for each SIMD target, and how one is chosen.

#include "kernels/scratch.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace pkv::detail {

struct KernelTable {
  std::int64_t target = 0;  ///< Highway's bit

  /// Carries out the segments of one worker in their order.
  using Decode = void (*)(const DecodeArgs& args, std::span<const Segment> segments, Scratch& scratch);
  Decode decode_f16 = nullptr;
  Decode decode_bf16 = nullptr;
  Decode decode_f32 = nullptr;
  /// Combines the partials of one row and KV head and writes the result.
  void (*merge)(const DecodeArgs& args, const Merge& merge, Scratch& scratch) = nullptr;

  [[nodiscard]] Decode decode(DType dtype) const noexcept {
    if (dtype == DType::kF16) return decode_f16;
    return dtype == DType::kBF16 ? decode_bf16 : decode_f32;
  }
};

/// One for each target that was compiled and that this machine has, best first; never empty.
[[nodiscard]] std::vector<const KernelTable*> supported_kernels();

/// Highway's name of a table's target, e.g. "AVX2".
[[nodiscard]] std::string target_name(const KernelTable& kernels);

}  // namespace pkv::detail
