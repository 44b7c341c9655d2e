#pragma once

/// FlashInfer's decode attention on NVIDIA GPUs of compute capability 8.0 and later, as routes beside our own. Built
/// where its headers are found (scripts/setup-flashinfer). No header of FlashInfer's or CUDA's is needed to include
/// this.

#include "persistentkv/cuda/cuda_backend.hpp"
#include "persistentkv/engine/backend.hpp"

#include <memory>
#include <string_view>

namespace pkv {

/// The release whose headers are compiled in.
inline constexpr std::string_view kFlashInferVersion = "0.7.2.post1";

/// A backend of one route: kFlashInferCudaCore, what FlashInfer's Python wrapper runs by default, or
/// kFlashInferTensorCore, its prefill run as decode. `device`: ordinal; -1: the calling thread's current one. Throws
/// InvalidArgument for another route and for an ordinal out of range, CudaError where there is no device, Unsupported
/// for one that is older than compute capability 8.0.
///
/// prepare_route() plans the whole batch on the host, by FlashInfer's own planner; lengths and page table must be in
/// host memory. It returns while the plan is being copied to the device: a stream that the step first runs in waits for
/// it, and a first run that is captured waits on the host. Steps are CudaPreparedSteps: run() launches one kernel, or
/// two where rows were split, and can be captured in a graph, which repeats that plan. On compute capability 9.0 and
/// later they are launched by programmatic dependent launch whatever CudaRunOptions say, as FlashInfer's wrapper does
/// by default: they wait for the kernel ahead before they read what it may have written. PlanOptions mean nothing to
/// them. Partial results are kept in the dtype of out, as FlashInfer does.
///
/// Shapes: fp16 and bf16; head_dim 64, 128 and 256; CUDA cores: groups of 1, 2, 3, 4, 6, 8 and 16; tensor cores: any
/// group up to 64. K and V must have the same strides, below 2^32 elements: run() throws Unsupported for others. What
/// else a Layer may ask for (row ids, strides, FP32, LSE in base e, rows without tokens) a kernel of ours before or
/// after does: dense tensors, with no LSE or one in base 2, need none.
[[nodiscard]] std::unique_ptr<Backend> make_flashinfer_backend(Route route, int device = -1);

/// What that backend declares, on any machine. Throws InvalidArgument for another route.
[[nodiscard]] Capabilities flashinfer_capabilities(Route route);

}  // namespace pkv
