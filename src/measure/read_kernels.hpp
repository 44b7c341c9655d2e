#pragma once

// The inner loops of the readers, compiled for each SIMD target.

#include <cstdint>

namespace pkv::detail {

struct ReadKernels {
  /// Reads [data, data + bytes) and asks early for what comes next; `next` follows the last byte in the reader's order,
  /// or is null. Returns the xor of all 8-byte words.
  std::uint64_t (*read)(const char* data, std::int64_t bytes, const char* next);
  /// The same for memory that is not to be kept; 64-byte aligned.
  std::uint64_t (*read_non_temporal)(const char* data, std::int64_t bytes);
  const char* non_temporal_method;
};

/// Those of the best target of this machine.
[[nodiscard]] const ReadKernels& read_kernels();

}  // namespace pkv::detail
