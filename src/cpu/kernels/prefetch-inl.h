// Asks for the vectors of a later block, a line or two at a time, so that requests leave at the pace of the work.

#if defined(PKV_CPU_KERNELS_PREFETCH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PKV_CPU_KERNELS_PREFETCH_INL_H_
#undef PKV_CPU_KERNELS_PREFETCH_INL_H_
#else
#define PKV_CPU_KERNELS_PREFETCH_INL_H_
#endif

#include "kernels/block_cursor.hpp"
#include "kernels/load-inl.h"

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace pkv::detail {
namespace HWY_NAMESPACE {

/// First K of a block, then V: what is asked for in the order of its addresses comes faster. Into L2, since blocks lie
/// whole pages apart and would push one another out of L1.
///
/// Everything here is inlined by force: GCC takes a function that only prefetches for one without effect, and deletes
/// the calls to it.
template <class T>
class Prefetcher {
 public:
  HWY_INLINE Prefetcher(const TokenBlock& block, int head_dim)
      : block_(block), vectors_(block.k), vector_bytes_(head_dim * static_cast<int>(sizeof(T))) {
    if (block.tokens > 0) open();
  }

  /// For call number `index` of a loop that reads kVectorsAtOnce vectors a call. Both loops that do, of scores and of
  /// accumulation, together ask for as many bytes as they read.
  HWY_INLINE void step(int index) {
    constexpr int kBytes = kVectorsAtOnce * kLanes * static_cast<int>(sizeof(T));
    constexpr int kCalls = kBytes < kLineBytes ? kLineBytes / kBytes : 1;  // for one line
    if (index % kCalls != 0) return;
    for (int i = 0; i < kBytes * kCalls / kLineBytes; ++i) ask();
  }
  /// What step() has not asked for yet.
  HWY_INLINE void finish() {
    while (line_ != nullptr) ask();
  }

 private:
  HWY_INLINE void open() {
    line_ = vectors_[token_];
    end_ = line_ + vector_bytes_;
  }
  HWY_INLINE void ask() {
    if (line_ == nullptr) return;
    __builtin_prefetch(line_, 0, kLocality);
    line_ += kLineBytes;
    if (line_ < end_) return;
    if (++token_ == block_.tokens) {
      if (vectors_ == block_.v) {
        line_ = nullptr;
        return;
      }
      vectors_ = block_.v;
      token_ = 0;
    }
    open();
  }

  static constexpr int kLineBytes = 64;
  static constexpr int kLocality = 2;  // into L2

  const TokenBlock& block_;
  const char* const* vectors_;  // block_.k, then block_.v
  int vector_bytes_;
  int token_ = 0;
  const char* line_ = nullptr;  // null: all is asked for
  const char* end_ = nullptr;   // of the vector
};

}  // namespace HWY_NAMESPACE
}  // namespace pkv::detail
HWY_AFTER_NAMESPACE();

#endif  // PKV_CPU_KERNELS_PREFETCH_INL_H_
