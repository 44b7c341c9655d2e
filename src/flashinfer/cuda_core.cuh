#pragma once

// FlashInfer's CUDA-core decode: what its Python wrapper runs by default.

#include "cuda_support/check.hpp"
#include "guarded.hpp"
#include "kernels.hpp"
#include "paged_kv.cuh"

#include <flashinfer/utils.cuh>

// Of the two depths of its pipeline, the one for compute capability 8.0 and later: the other would double what is
// compiled, and nobody could run it.
#undef DISPATCH_COMPUTE_CAP_DECODE_NUM_STAGES_SMEM
#define DISPATCH_COMPUTE_CAP_DECODE_NUM_STAGES_SMEM(compute_capacity, NUM_STAGES_SMEM, ...) \
  {                                                                                         \
    (void)compute_capacity;                                                                 \
    constexpr uint32_t NUM_STAGES_SMEM = 2;                                                 \
    __VA_ARGS__                                                                             \
  }

#include <flashinfer/attention/decode.cuh>
#include <flashinfer/attention/default_decode_params.cuh>
#include <flashinfer/attention/scheduler.cuh>
#include <flashinfer/attention/variants.cuh>

namespace pkv::fi {

template <class Element>
using DecodeParams = ::flashinfer::BatchDecodeParams<Element, Element, Element, std::int32_t>;

template <class Element, int kHeadDim>
void plan_cuda_core(const PlanRequest& request, Cut& cut) {
  constexpr auto kNoPositions = ::flashinfer::PosEncodingMode::kNone;
  using Params = DecodeParams<Element>;
  ::flashinfer::DecodePlanInfo info;
  guarded([&] {
    DISPATCH_GQA_GROUP_SIZE(request.num_q_heads / request.num_kv_heads, GROUP_SIZE, {
      const auto estimate =
          ::flashinfer::BatchDecodeWithPagedKVCacheWorkEstimationDispatched<GROUP_SIZE, kHeadDim, kNoPositions, Variant,
                                                                            Params>;
      cuda::check((::flashinfer::DecodePlan<kHeadDim, kNoPositions, Variant, Params>(
                      request.floats, request.floats_bytes, request.ints, request.pinned_ints, request.ints_bytes, info,
                      request.page_offsets, static_cast<std::uint32_t>(request.batch),
                      static_cast<std::uint32_t>(request.num_q_heads), static_cast<std::uint32_t>(request.page_size),
                      /*enable_cuda_graph=*/false, request.stream, estimate)),
                  "FlashInfer's DecodePlan");
    });
  });
  cut.work_items = info.padded_batch_size;
  cut.split = info.split_kv;
  cut.request_indices = info.request_indices_offset;
  cut.kv_tile_indices = info.kv_tile_indices_offset;
  cut.out_offsets = info.o_indptr_offset;
  cut.chunk_tokens = info.kv_chunk_size_ptr_offset;
  cut.partial_out = info.v_offset;
  cut.partial_lse = info.s_offset;
}

template <class Element, int kHeadDim>
void run_cuda_core(const RunRequest& request, const Cut& cut) {
  DecodeParams<Element> params;
  params.q = const_cast<Element*>(static_cast<const Element*>(request.q));
  params.paged_kv = paged_kv<Element, kHeadDim>(request);
  params.o = static_cast<Element*>(request.out);
  params.lse = request.lse;
  params.padded_batch_size = static_cast<std::uint32_t>(cut.work_items);
  params.num_qo_heads = static_cast<std::uint32_t>(request.num_q_heads);
  params.q_stride_n = request.q_row_stride;
  params.q_stride_h = request.q_head_stride;
  params.window_left = -1;
  params.sm_scale = request.softmax_scale;
  params.rope_rcp_scale = 1.0F;
  params.rope_rcp_theta = 1.0F;
  params.request_indices = at<std::int32_t>(request.ints, cut.request_indices);
  params.kv_tile_indices = at<std::int32_t>(request.ints, cut.kv_tile_indices);
  params.o_indptr = at<std::int32_t>(request.ints, cut.out_offsets);
  params.kv_chunk_size_ptr = at<std::int32_t>(request.ints, cut.chunk_tokens);
  guarded([&] {
    cuda::check(
        (::flashinfer::BatchDecodeWithPagedKVCacheDispatched<kHeadDim, ::flashinfer::PosEncodingMode::kNone, Variant>(
            params, cut.split ? at<Element>(request.floats, cut.partial_out) : nullptr,
            cut.split ? at<float>(request.floats, cut.partial_lse) : nullptr, request.dependent, request.stream)),
        "FlashInfer's decode");
  });
}

template <class Element, int kHeadDim>
const Path& cuda_core_path() {
  static constexpr Path path{&plan_cuda_core<Element, kHeadDim>, &run_cuda_core<Element, kHeadDim>};
  return path;
}

}  // namespace pkv::fi
