#pragma once

// What both paths say to FlashInfer alike.

#include "kernels.hpp"

#include <flashinfer/attention/variants.cuh>
#include <flashinfer/page.cuh>

namespace pkv::fi {

/// Plain softmax: no mask, window, soft cap or ALiBi.
using Variant = ::flashinfer::DefaultAttention</*use_custom_mask=*/false, /*use_sliding_window=*/false,
                                               /*use_logits_soft_cap=*/false, /*use_alibi=*/false>;

template <class T>
T* at(unsigned char* base, std::int64_t offset_bytes) {
  return reinterpret_cast<T*>(base + offset_bytes);
}

template <class Element, int kHeadDim>
::flashinfer::paged_kv_t<Element, std::int32_t> paged_kv(const RunRequest& request) {
  ::flashinfer::paged_kv_t<Element, std::int32_t> kv;
  kv.page_size = ::flashinfer::uint_fastdiv(static_cast<std::uint32_t>(request.page_size));
  kv.num_heads = static_cast<std::uint32_t>(request.num_kv_heads);
  kv.head_dim = kHeadDim;
  kv.batch_size = static_cast<std::uint32_t>(request.batch);
  kv.stride_page = kv.v_stride_page = request.page_stride;
  kv.stride_n = kv.v_stride_n = request.token_stride;
  kv.stride_h = kv.v_stride_h = request.head_stride;
  kv.k_data = const_cast<Element*>(static_cast<const Element*>(request.k));
  kv.v_data = const_cast<Element*>(static_cast<const Element*>(request.v));
  kv.indices = request.pages;
  kv.indptr = request.page_offsets;
  kv.last_page_len = request.last_page_tokens;
  return kv;
}

}  // namespace pkv::fi
