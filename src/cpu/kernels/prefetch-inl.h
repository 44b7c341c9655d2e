// Asks for the vectors that are read later, a line or two at a time, so that requests leave at the pace of the work.

#if defined(PKV_CPU_KERNELS_PREFETCH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PKV_CPU_KERNELS_PREFETCH_INL_H_
#undef PKV_CPU_KERNELS_PREFETCH_INL_H_
#else
#define PKV_CPU_KERNELS_PREFETCH_INL_H_
#endif

#include "kernels/load-inl.h"
#include "kernels/vector_window.hpp"

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace pkv::detail {
namespace HWY_NAMESPACE {

/// Asks for all that is read next, in its order, at the pace at which a block is read: each line one block ahead, and
/// once more half a block ahead, since a core drops requests that find its buffers full.
///
/// Everything here is inlined by force: GCC takes a function that only prefetches for one without effect, and deletes
/// the calls to it.
template <class T>
class Prefetcher {
 public:
  /// The block is read `passes` times.
  HWY_INLINE Prefetcher(const VectorWindow& window, int head_dim, int passes)
      : window_(window),
        block_tokens_(window.block_tokens()),
        vector_bytes_(head_dim * static_cast<int>(sizeof(T))),
        steps_(passes * (kLineBytes > kStepBytes ? kLineBytes / kStepBytes : 1)),
        wait_(steps_) {}

  /// For a step that reads kVectorsAtOnce vectors.
  HWY_INLINE void step() {
    if (--wait_ > 0) return;
    wait_ = steps_;
    ask();
  }
  /// What step() has not asked for yet.
  HWY_INLINE void finish() {
    while (token_ < window_.next_tokens()) ask();
  }

 private:
  HWY_INLINE void ask() {
    const char* far = window_[token_ + block_tokens_] + offset_;
    const char* near = window_[token_ + block_tokens_ / 2] + offset_;
    for (int i = 0; i < kAskBytes; i += kLineBytes) {
      __builtin_prefetch(far + i, 0, kIntoL2);
      __builtin_prefetch(near + i, 0, kIntoL1);
    }
    offset_ += kAskBytes;
    if (offset_ < vector_bytes_) return;
    offset_ = 0;
    if (token_ < block_tokens_) ++token_;
  }

  static constexpr int kLineBytes = 64;
  static constexpr int kStepBytes = kVectorsAtOnce * kLanes * static_cast<int>(sizeof(T));
  static constexpr int kAskBytes = kStepBytes > kLineBytes ? kStepBytes : kLineBytes;
  static constexpr int kIntoL1 = 3;
  static constexpr int kIntoL2 = 2;

  const VectorWindow& window_;
  const int block_tokens_;
  const int vector_bytes_;
  const int steps_;  // for each time that something is asked for
  int wait_;
  int token_ = 0;
  int offset_ = 0;
};

}  // namespace HWY_NAMESPACE
}  // namespace pkv::detail
HWY_AFTER_NAMESPACE();

#endif  // PKV_CPU_KERNELS_PREFETCH_INL_H_
