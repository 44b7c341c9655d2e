#pragma once

// Where a step's time goes, stamped by the kernels themselves. Kernels are compiled with NoProbe, which is nothing: no
// parameter, no register, no instruction. Twins with TimelineProbe exist for one dtype and head_dim (instantiations/).

#include "params.hpp"
#include "ptx.cuh"

namespace pkv::cuda {

struct NoProbe {
  static constexpr bool kStamps = false;
  template <class Params>
  using With = Params;

  template <class Params>
  __device__ __forceinline__ explicit NoProbe(const Params& /*params*/) {}
  __device__ __forceinline__ void stamp(CudaStampKind /*kind*/) {}
  __device__ __forceinline__ void stamp_first_data() {}
  __device__ __forceinline__ void stamp_segment(int /*row*/, int /*kv_head*/, int /*token_begin*/, int /*token_end*/) {}
};

/// One a warp. Its first lane writes the stamps; what does not fit is counted only.
class TimelineProbe {
 public:
  static constexpr bool kStamps = true;
  template <class Params>
  using With = Probed<Params>;

  template <class Params>
  __device__ __forceinline__ explicit TimelineProbe(const Probed<Params>& params) : timeline_(params.timeline) {
    const int warps = static_cast<int>(blockDim.x) >> 5, warp = static_cast<int>(threadIdx.x) >> 5;
    index_ = timeline_.first_warp + static_cast<int>(blockIdx.x) * warps + warp;
    stamp(CudaStampKind::kStart);
  }
  __device__ __forceinline__ ~TimelineProbe() {
    stamp(CudaStampKind::kExit);
    if (lane_id() != 0 || index_ >= timeline_.buffer.num_warps) return;
    timeline_.buffer.warps[index_] = {count_, timeline_.launch, static_cast<int>(blockIdx.x),
                                      static_cast<int>(threadIdx.x) >> 5};
  }
  TimelineProbe(const TimelineProbe&) = delete;
  TimelineProbe& operator=(const TimelineProbe&) = delete;

  __device__ __forceinline__ void stamp(CudaStampKind kind) {
    has_data_ = false;
    write(kind, 0, 0, 0, 0);
  }
  /// Once for each run of tiles.
  __device__ __forceinline__ void stamp_first_data() {
    if (has_data_) return;
    has_data_ = true;
    write(CudaStampKind::kFirstData, 0, 0, 0, 0);
  }
  __device__ __forceinline__ void stamp_segment(int row, int kv_head, int token_begin, int token_end) {
    write(CudaStampKind::kSegment, row, kv_head, token_begin, token_end);
  }

 private:
  __device__ __forceinline__ void write(CudaStampKind kind, int row, int kv_head, int token_begin, int token_end) {
    CudaStamp stamp{};
    asm volatile("mov.u64 %0, %%clock64;" : "=l"(stamp.clock)::"memory");
    const int last = timeline_.buffer.stamps_per_warp - 1,
              at = kind == CudaStampKind::kExit ? min(count_, last) : count_;
    ++count_;
    if (lane_id() != 0 || index_ >= timeline_.buffer.num_warps) return;
    if (at >= last && kind != CudaStampKind::kExit) return;  // the last place is kept for the exit
    asm("mov.u32 %0, %%smid;" : "=r"(stamp.sm));
    stamp.row = row;
    stamp.kv_head = kv_head;
    stamp.token_begin = token_begin;
    stamp.token_end = token_end;
    stamp.kind = kind;
    timeline_.buffer.stamps[std::int64_t{index_} * timeline_.buffer.stamps_per_warp + at] = stamp;
  }

  const TimelineParams& timeline_;
  int index_ = 0;
  int count_ = 0;
  bool has_data_ = false;
};

}  // namespace pkv::cuda
