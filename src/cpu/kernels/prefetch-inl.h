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

/// Asks for all that is read next, in its order, at the pace at which a block is read: each line half a block ahead,
/// and on cores that drop requests which find their buffers full, a block ahead too.
///
/// Everything here is inlined by force: GCC takes a function that only prefetches for one without effect, and deletes
/// the calls to it.
template <class T>
class Prefetcher {
 public:
  /// The block is read `passes` times.
  HWY_INLINE Prefetcher(const VectorWindow& window, int head_dim, int passes, bool twice)
      : at_(window.data() + window.block_tokens() / 2),
        last_(at_ + window.block_tokens()),
        half_(window.block_tokens() / 2),
        next_tokens_(window.next_tokens()),
        vector_bytes_(head_dim * static_cast<int>(sizeof(T))),
        steps_(passes * (kLineBytes > kStepBytes ? kLineBytes / kStepBytes : 1)),
        twice_(twice),
        wait_(steps_) {
    open();
  }

  /// For a step that reads kVectorsAtOnce vectors.
  HWY_INLINE void step() {
    if (--wait_ > 0) return;
    wait_ = steps_;
    ask();
  }
  /// What step() has not asked for yet.
  HWY_INLINE void finish() {
    while (at_ < last_ - 2 * half_ + next_tokens_) ask();
  }

 private:
  HWY_INLINE void open() {
    near_ = at_[0];
    far_ = at_[half_];
    end_ = near_ + vector_bytes_;
  }
  HWY_INLINE void ask() {
    for (int i = 0; i < kAskBytes; i += kLineBytes) {
      if (twice_) __builtin_prefetch(far_ + i, 0, kIntoL2);
      __builtin_prefetch(near_ + i, 0, kIntoL1);
    }
    near_ += kAskBytes;
    far_ += kAskBytes;
    if (near_ < end_) return;
    if (at_ < last_) ++at_;
    open();
  }

  static constexpr int kLineBytes = 64;
  static constexpr int kStepBytes = kVectorsAtOnce * kLanes * static_cast<int>(sizeof(T));
  static constexpr int kAskBytes = kStepBytes > kLineBytes ? kStepBytes : kLineBytes;
  static constexpr int kIntoL1 = 3;
  static constexpr int kIntoL2 = 2;

  const char* const* at_;  // half a block ahead of what is read
  const char* const* const last_;
  const std::ptrdiff_t half_;
  const int next_tokens_;
  const int vector_bytes_;
  const int steps_;  // for each time that something is asked for
  const bool twice_;
  int wait_;
  const char* near_;
  const char* far_;
  const char* end_;  // of the vector that near_ is in
};

}  // namespace HWY_NAMESPACE
}  // namespace pkv::detail
HWY_AFTER_NAMESPACE();

#endif  // PKV_CPU_KERNELS_PREFETCH_INL_H_
