#pragma once

#include "kernel_table.hpp"
#include "kernels/segment_decode.cuh"
#include "kernels/stream_decode.cuh"
#include "tile_table.hpp"

namespace pkv::cuda {

template <class T, int kHeadDim, class Probe = NoProbe>
DecodeKernels make_kernels() {
  constexpr TileChoice kChoice = tile_choice(kHeadDim);
  static_assert(kChoice.stages > 0, "the tile table has no such head_dim");
  constexpr int kStages = kChoice.stages;
  DecodeKernels kernels{};
  kernels.stream[0] = reinterpret_cast<const void*>(&stream_decode<T, kHeadDim, 1, kStages, Probe>);
  kernels.segments[0] = reinterpret_cast<const void*>(&segment_decode<T, kHeadDim, 1, kStages, Probe>);
  kernels.merge[0] = reinterpret_cast<const void*>(&merge_partials<T, kHeadDim, 1, Probe>);
  if constexpr (kChoice.max_blocks > 1) {
    kernels.stream[1] = reinterpret_cast<const void*>(&stream_decode<T, kHeadDim, 2, kStages, Probe>);
    kernels.segments[1] = reinterpret_cast<const void*>(&segment_decode<T, kHeadDim, 2, kStages, Probe>);
    kernels.merge[1] = reinterpret_cast<const void*>(&merge_partials<T, kHeadDim, 2, Probe>);
  }
  kernels.ring_bytes = Ring<kHeadDim, kStages>::kBytes;
  kernels.part_floats = kPartPitch<kHeadDim>;
  kernels.max_blocks = kChoice.max_blocks;
  return kernels;
}

}  // namespace pkv::cuda
