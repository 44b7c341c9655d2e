#pragma once

// The kernels of one element type and head_dim, as the runtime's launch functions want them.

#include "persistentkv/core/dtype.hpp"

#include <cstdint>

namespace pkv::cuda {

/// Forms of a step that `stream` has kernels of their own for: kernels/params.hpp. Each also takes those of all before
/// it in this list.
enum class StepForm { kUsualFewRows, kUsual, kAny };
inline constexpr int kStepForms = 3;
inline constexpr int kFewRows = 32;  ///< a lane each

struct DecodeKernels {
  // [.][blocks - 1]: blocks of 8 query heads; null where the tile table has no such
  const void* stream[kStepForms][2];
  const void* segments[2];
  const void* merge[2];
  int ring_bytes;   // of a warp
  int part_floats;  // of a head in shared memory
  int max_blocks;   // as in the tile table

  [[nodiscard]] const void* stream_of(StepForm form, int blocks) const noexcept {
    return stream[static_cast<int>(form)][blocks - 1];
  }
};

/// The kernels for a dtype and head_dim, or null. Defined by what CMake generates from instantiations/.
const DecodeKernels* find_kernels(DType dtype, int head_dim) noexcept;

/// Their twins that stamp what they do, which take Probed parameters; null but for one dtype and head_dim.
const DecodeKernels* find_timeline_kernels(DType dtype, int head_dim) noexcept;

}  // namespace pkv::cuda
