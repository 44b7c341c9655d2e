#pragma once

/// What kernels write about their own time, where CudaRunOptions::timeline asks for it. Plain data, the same on the
/// host and the device; no CUDA header is needed.

#include <cstdint>

namespace pkv {

enum class CudaStampKind : std::int32_t {
  kStart,      ///< the warp's first instruction
  kPlanned,    ///< it knows what to read
  kFirstData,  ///< the first tile of a run has arrived
  kSegment,    ///< a segment is done: row, KV head and tokens say which
  kArrived,    ///< before the CTA's barrier
  kJoined,     ///< what the CTA's warps had in common is joined, and written or published for other CTAs
  kMerged,     ///< the CTA, or a warp of it, came last, and has merged what all had published
  kExit,       ///< the warp's last instruction
};

struct CudaStamp {
  std::int64_t clock = 0;  ///< cycles of the SM, which count from an instant of its own
  std::int32_t sm = 0;
  CudaStampKind kind = CudaStampKind::kStart;
  std::int32_t row = 0;  ///< this and what follows: of kSegment
  std::int32_t kv_head = 0;
  std::int32_t token_begin = 0;
  std::int32_t token_end = 0;
};

struct CudaStampedWarp {
  std::int32_t stamps = 0;  ///< made, of which stamps_per_warp at most are there: the first, and the exit; 0: no warp
  std::int32_t launch = 0;  ///< of the run
  std::int32_t cta = 0;
  std::int32_t warp = 0;  ///< of the CTA
};

/// Device memory for the stamps of one run. Warps beyond num_warps leave no stamps.
struct CudaTimeline {
  CudaStamp* stamps = nullptr;       ///< [num_warps, stamps_per_warp]
  CudaStampedWarp* warps = nullptr;  ///< [num_warps]; the caller clears it
  std::int32_t num_warps = 0;
  std::int32_t stamps_per_warp = 0;
};

}  // namespace pkv
