// Kernels that stamp what they do, for one dtype and head_dim: they are for looking at schedules.
#include "instantiations/make_kernels.cuh"

namespace pkv::cuda {
const DecodeKernels* find_timeline_kernels(DType dtype, int head_dim) noexcept {
  static const DecodeKernels kernels = make_kernels<__half, 128, TimelineProbe>();
  return dtype == DType::kF16 && head_dim == 128 ? &kernels : nullptr;
}
}  // namespace pkv::cuda
