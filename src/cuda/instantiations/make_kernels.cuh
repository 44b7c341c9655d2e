#pragma once

#include "kernel_table.hpp"
#include "kernels/segment_decode.cuh"
#include "kernels/stream_decode.cuh"
#include "tile_table.hpp"

#include <type_traits>

namespace pkv::cuda {

template <class T, int kHeadDim, int kBlocks, int kStages, class Probe>
void set_stream_kernels(DecodeKernels& kernels) {
  const auto set = [&](StepForm form, const void* kernel) {
    kernels.stream[static_cast<int>(form)][kBlocks - 1] = kernel;
  };
  static_assert(kFewRows <= 32);  // StepRows has a lane each
  using UsualFewRows = std::conditional_t<tile_choice(kHeadDim).has_usual, UsualForm<kFewRows>, AnyForm>;
  using Usual = std::conditional_t<tile_choice(kHeadDim).has_usual, UsualForm<INT32_MAX>, AnyForm>;
  set(StepForm::kUsualFewRows,
      reinterpret_cast<const void*>(&stream_decode<T, kHeadDim, kBlocks, kStages, UsualFewRows, Probe>));
  set(StepForm::kUsual, reinterpret_cast<const void*>(&stream_decode<T, kHeadDim, kBlocks, kStages, Usual, Probe>));
  set(StepForm::kAny, reinterpret_cast<const void*>(&stream_decode<T, kHeadDim, kBlocks, kStages, AnyForm, Probe>));
}

template <class T, int kHeadDim, class Probe = NoProbe>
DecodeKernels make_kernels() {
  constexpr TileChoice kChoice = tile_choice(kHeadDim);
  static_assert(kChoice.stages > 0, "the tile table has no such head_dim");
  constexpr int kStages = kChoice.stages;
  DecodeKernels kernels{};
  set_stream_kernels<T, kHeadDim, 1, kStages, Probe>(kernels);
  kernels.segments[0] = reinterpret_cast<const void*>(&segment_decode<T, kHeadDim, 1, kStages, Probe>);
  kernels.merge[0] = reinterpret_cast<const void*>(&merge_partials<T, kHeadDim, 1, Probe>);
  if constexpr (kChoice.max_blocks > 1) {
    set_stream_kernels<T, kHeadDim, 2, kStages, Probe>(kernels);
    kernels.segments[1] = reinterpret_cast<const void*>(&segment_decode<T, kHeadDim, 2, kStages, Probe>);
    kernels.merge[1] = reinterpret_cast<const void*>(&merge_partials<T, kHeadDim, 2, Probe>);
  }
  kernels.ring_bytes = Ring<kHeadDim, kStages>::kBytes;
  kernels.part_floats = kPartPitch<kHeadDim>;
  kernels.max_blocks = kChoice.max_blocks;
  return kernels;
}

}  // namespace pkv::cuda
