#pragma once

// FlashInfer's tensor-core prefill, as decode: one row of Q a sequence, whose group of heads fills the tile.

#include "cuda_support/check.hpp"
#include "guarded.hpp"
#include "kernels.hpp"
#include "paged_kv.cuh"

#include <flashinfer/attention/default_prefill_params.cuh>
#include <flashinfer/attention/prefill.cuh>
#include <flashinfer/attention/variants.cuh>

namespace pkv::fi {

template <class Element, int kHeadDim, int kTileQ>
void run_tensor_core(const RunRequest& request, const Cut& cut) {
  ::flashinfer::BatchPrefillPagedParams<Element, Element, Element, std::int32_t> params;
  params.q = const_cast<Element*>(static_cast<const Element*>(request.q));
  params.paged_kv = paged_kv<Element, kHeadDim>(request);
  params.q_indptr = request.row_offsets;
  params.o = static_cast<Element*>(request.out);
  params.lse = request.lse;
  params.group_size =
      ::flashinfer::uint_fastdiv(static_cast<std::uint32_t>(request.num_q_heads / request.num_kv_heads));
  params.num_qo_heads = static_cast<std::uint32_t>(request.num_q_heads);
  params.q_stride_n = request.q_row_stride;
  params.q_stride_h = request.q_head_stride;
  params.window_left = -1;  // 0 would be a window of the newest token alone
  params.sm_scale = request.softmax_scale;
  params.rope_rcp_scale = 1.0F;
  params.rope_rcp_theta = 1.0F;
  params.request_indices = at<std::int32_t>(request.ints, cut.request_indices);
  params.qo_tile_indices = at<std::int32_t>(request.ints, cut.q_tile_indices);
  params.kv_tile_indices = at<std::int32_t>(request.ints, cut.kv_tile_indices);
  params.o_indptr = at<std::int32_t>(request.ints, cut.out_offsets);
  params.kv_chunk_size_ptr = at<std::int32_t>(request.ints, cut.chunk_tokens);
  if (cut.split) params.merge_indptr = at<std::int32_t>(request.ints, cut.merge_offsets);
  params.max_total_num_rows = static_cast<std::uint32_t>(request.batch);
  params.padded_batch_size = static_cast<std::uint32_t>(cut.work_items);
  guarded([&] {
    cuda::check(
        (::flashinfer::BatchPrefillWithPagedKVCacheDispatched<
            /*SAME_KV_STRIDES=*/true, kTileQ, kHeadDim, kHeadDim, ::flashinfer::PosEncodingMode::kNone,
            /*USE_FP16_QK_REDUCTION=*/false, ::flashinfer::MaskMode::kNone, Variant>(
            params, cut.split ? at<Element>(request.floats, cut.partial_out) : nullptr,
            cut.split ? at<float>(request.floats, cut.partial_lse) : nullptr, request.dependent, request.stream)),
        "FlashInfer's prefill");
  });
}

}  // namespace pkv::fi
