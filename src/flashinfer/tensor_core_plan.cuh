#pragma once

// FlashInfer's plan for its tensor-core path.

#include "cuda_support/check.hpp"
#include "guarded.hpp"
#include "kernels.hpp"

#include <flashinfer/attention/scheduler.cuh>

namespace pkv::fi {

template <class Element, int kHeadDim>
void plan_tensor_core(const PlanRequest& request, Cut& cut) {
  ::flashinfer::PrefillPlanInfo info;
  guarded([&] {
    cuda::check(::flashinfer::PrefillPlan<std::int32_t>(
                    request.floats, request.floats_bytes, request.ints, request.pinned_ints, request.ints_bytes, info,
                    request.row_offsets, request.page_offsets, static_cast<std::uint32_t>(request.batch),
                    static_cast<std::uint32_t>(request.batch), static_cast<std::uint32_t>(request.num_q_heads),
                    static_cast<std::uint32_t>(request.num_kv_heads), kHeadDim, kHeadDim,
                    static_cast<std::uint32_t>(request.page_size), /*enable_cuda_graph=*/false, sizeof(Element),
                    /*window_left=*/-1, /*fixed_split_size=*/-1, /*disable_split_kv=*/false, /*num_colocated_ctas=*/0,
                    /*uniform_q_len=*/0, request.stream, sizeof(Element)),
                "FlashInfer's PrefillPlan");
  });
  cut.work_items = info.padded_batch_size;
  cut.tile_q = static_cast<int>(info.cta_tile_q);
  cut.split = info.split_kv;
  cut.request_indices = info.request_indices_offset;
  cut.q_tile_indices = info.qo_tile_indices_offset;
  cut.kv_tile_indices = info.kv_tile_indices_offset;
  cut.out_offsets = info.o_indptr_offset;
  cut.merge_offsets = info.merge_indptr_offset;
  cut.chunk_tokens = info.kv_chunk_size_ptr_offset;
  cut.partial_out = info.v_offset;
  cut.partial_lse = info.s_offset;
}

}  // namespace pkv::fi
